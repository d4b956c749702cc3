// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography;

namespace PasidFramework.Comparison.Tests;

public class TraceReaderTests
{
    private const string Small =
        "# tracer: nop\n"
        + "            bash-17564   [001] .....  4021.389640: sched_process_fork: comm=bash pid=17564 child_comm=bash "
        + "child_pid=17565\n"
        + "            bash-17565   [001] .....  4021.389700: sched_process_exec: filename=/usr/bin/ls pid=17565 "
        + "old_pid=17565\n"
        + "CPU:1 [LOST 12 EVENTS]\n"
        + "              ls-17565   [001] .N...  4021.390206: sched_process_exit: comm=ls pid=17565 prio=120 "
        + "group_dead=true\n";

    [Fact]
    public void The_bundled_trace_is_read_whole()
    {
        Trace trace = TestData.ReadBundledTrace();

        Assert.Equal(21153, trace.Events.Count);
        Assert.Equal(7789, trace.Events.Count(e => e.Kind == TraceEventKind.Fork));
        Assert.Equal(5592, trace.Events.Count(e => e.Kind == TraceEventKind.Exec));
        Assert.Equal(7772, trace.Events.Count(e => e.Kind == TraceEventKind.Exit));
        Assert.Equal(0, trace.LostGaps + trace.OutOfOrder + trace.IgnoredEvents);
        Assert.Equal("dotnet-build.trace.gz", trace.File);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(TestData.BundledTrace))), trace.Sha256);
    }

    [Fact]
    public void Plain_and_compressed_give_the_same_events_and_their_own_fingerprints()
    {
        byte[] plain = Encoding.UTF8.GetBytes(Small);
        byte[] packed = TestData.Gzip(plain);

        Trace one = TestData.Require(TestData.ReadTrace(plain));
        Trace two = TestData.Require(TestData.ReadTrace(packed));

        Assert.Equal(3, one.Events.Count);
        Assert.Equal(one.Events, two.Events);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(plain)), one.Sha256);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(packed)), two.Sha256);
    }

    [Fact]
    public void A_stream_that_gives_one_byte_at_a_time_makes_no_difference()
    {
        byte[] packed = TestData.Gzip(Encoding.UTF8.GetBytes(Small));

        Trace trace = TestData.Require(TraceReader.Read(new TrickleStream(packed), "t"));

        Assert.Equal(TestData.Require(TestData.ReadTrace(Small)).Events, trace.Events);
    }

    [Fact]
    public void Lost_events_are_counted_and_nothing_is_made_up_for_them()
    {
        Trace trace = TestData.Require(TestData.ReadTrace("CPU:0 [LOST EVENTS]\n" + Small));

        Assert.Equal(2, trace.LostGaps);
        Assert.Equal(12, trace.LostEvents);
        Assert.Equal(3, trace.Events.Count);
    }

    [Fact]
    public void A_plain_trace_cut_at_any_byte_is_refused_unless_the_cut_is_between_lines()
    {
        byte[] whole = Encoding.UTF8.GetBytes(Small);
        for (int length = 0; length < whole.Length; length++)
        {
            InputResult<Trace> result = TestData.ReadTrace(whole[..length]);

            // Between two lines nothing tells a cut from a shorter recording, except that there must be an event.
            bool isBetween = length > 0 && whole[length - 1] == '\n';
            bool hasEvent = isBetween && Encoding.UTF8.GetString(whole, 0, length)
                .Contains("sched_", StringComparison.Ordinal);
            Assert.Equal(hasEvent, result.IsOk);
            if (!hasEvent)
            {
                int line = whole[..length].Count(b => b == '\n') + (isBetween || length == 0 ? 0 : 1);
                Assert.Equal(line, result.Error!.Line);
                Assert.Contains("expected", result.Error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void A_compressed_trace_cut_at_any_byte_is_refused()
    {
        byte[] whole = TestData.Gzip(Encoding.UTF8.GetBytes(Small));
        for (int length = 0; length < whole.Length; length++)
        {
            InputResult<Trace> result = TestData.ReadTrace(whole[..length]);

            Assert.False(result.IsOk, $"cut at {length} of {whole.Length}");
            Assert.StartsWith("t.trace:", result.Error!.ToString() + ":", StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_compressed_trace_with_any_bit_flipped_is_refused_or_reads_the_same()
    {
        byte[] whole = TestData.Gzip(Encoding.UTF8.GetBytes(Small));
        IReadOnlyCollection<TraceEvent> events = TestData.Require(TestData.ReadTrace(whole)).Events;
        int refused = 0;
        for (int bit = 0; bit < whole.Length * 8; bit++)
        {
            byte[] damaged = [.. whole];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));

            InputResult<Trace> result = TestData.ReadTrace(damaged);

            // The header's time stamp and the bits that pad the last block are not part of the data.
            refused += result.IsOk ? 0 : 1;
            if (result.IsOk)
            {
                Assert.Equal(events, result.Value.Events);
            }
        }

        Assert.InRange(refused, (whole.Length - 10) * 8, whole.Length * 8);
    }

    [Theory]
    [InlineData(""), InlineData("# tracer: nop\n#\n"), InlineData("CPU:1 [LOST 5 EVENTS]\n")]
    [InlineData("a-1 [000] ..... 1.000000: sched_switch: x\n")]
    public void A_trace_without_an_event_is_refused(string text)
    {
        InputResult<Trace> result = TestData.ReadTrace(text);

        Assert.False(result.IsOk);
        Assert.Contains("empty", result.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_line_is_named_with_what_was_expected()
    {
        InputResult<Trace> result =
            TestData.ReadTrace(Small + "sh-5 [000] ..... 5000.0: sched_process_exit: comm=sh pid=5\n");

        Assert.Equal(6, result.Error!.Line);
        Assert.StartsWith("t.trace:6: expected 'comm=NAME pid=N prio=N group_dead=", result.Error.ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Time_that_goes_back_is_put_in_order_and_its_line_is_reported()
    {
        Trace trace = TestData.Require(TestData.ReadTrace(
            "a-1 [000] ..... 2.000000: sched_process_exit: comm=a pid=1 prio=1 group_dead=true\n"
            + "b-2 [000] ..... 1.000000: sched_process_exit: comm=b pid=2 prio=1 group_dead=true\n"
            + "c-3 [000] ..... 2.000000: sched_process_exit: comm=c pid=3 prio=1 group_dead=true\n"));

        Assert.Equal(["b", "a", "c"], trace.Events.Select(e => e.Name));
        Assert.Equal(1, trace.OutOfOrder);
        Assert.Equal(2, trace.FirstOutOfOrderLine);
    }

    [Fact]
    public void Equal_times_are_in_order()
    {
        Trace trace = TestData.Require(TestData.ReadTrace(
            "a-1 [000] ..... 2.000000: sched_process_exit: comm=a pid=1 prio=1 group_dead=true\n"
            + "b-2 [000] ..... 2.000000: sched_process_exit: comm=b pid=2 prio=1 group_dead=true\n"));

        Assert.Equal(0, trace.OutOfOrder);
        Assert.Equal(["a", "b"], trace.Events.Select(e => e.Name));
    }

    [Fact]
    public void A_line_without_end_is_refused_and_not_kept()
    {
        InputResult<Trace> result = TestData.ReadTrace(Small + new string('x', 200_000));

        Assert.Equal(6, result.Error!.Line);
        Assert.Contains("longer than 65536", result.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused_as_a_line()
    {
        var noise = new byte[4096];
        new Random(1).NextBytes(noise);
        noise[0] = 0;

        InputResult<Trace> result = TestData.ReadTrace(noise);

        Assert.False(result.IsOk);
    }

    [Fact]
    public void Reading_can_be_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();

        Assert.Throws<OperationCanceledException>(() => TraceReader.Read(
            new MemoryStream(Encoding.UTF8.GetBytes(Small)), "t", cancelled.Token));
    }

    private sealed class TrickleStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(1, count));
        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(1, buffer.Length)]);
    }
}
