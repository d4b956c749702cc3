// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Traces;

/// <summary>
/// Reads raw tracefs text of <c>sched_process_fork</c>, <c>sched_process_exec</c> and <c>sched_process_exit</c>, plain
/// or compressed with gzip, in one pass. It reads all of a trace or refuses it.
/// </summary>
/// <remarks>
/// The text is that of <c>trace</c> and <c>trace_pipe</c> (Documentation/trace/ftrace.rst, "Output format"): header
/// lines with <c>#</c>, with or without the columns of flags and thread groups. Lines of other tracepoints are passed
/// over and counted, lines that say that events were lost are counted. A last line without an end is a cut-off file,
/// even where its text reads: <c>child_pid=175</c> may have been <c>child_pid=17565</c>.
/// </remarks>
public static class TraceReader
{
    private const int MaxLineBytes = 1 << 16;

    private static readonly string s_tooLong = Text(
        $"the line is longer than {MaxLineBytes} bytes; expected tracefs text");

    /// <summary>Reads a trace.</summary>
    /// <param name="source">The file's bytes.</param>
    /// <param name="file">The file as the user named it.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <returns>The trace, or where it is wrong.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static InputResult<Trace> Read(Stream source, string file, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(file);
        using var fingerprint = new FingerprintStream(source);
        using var start = new PrefixStream(fingerprint);
        bool isGzip = start.StartsWith([0x1F, 0x8B]);
        using Stream text = isGzip ? new GZipStream(start, CompressionMode.Decompress, leaveOpen: true) : start;
        using var parser = new Parser(file);
        try
        {
            InputError? error = ReadLines(text, fingerprint, isGzip, parser, cancellation);
            if (error is not null)
            {
                return InputResult<Trace>.Refuse(error);
            }
        }
        catch (InvalidDataException)
        {
            return InputResult<Trace>.Refuse(new InputError(
                file, parser.Line + 1, "the gzip data are damaged here; expected a whole gzip file"));
        }

        return parser.Finish(fingerprint.Sha256());
    }

    private static InputError? ReadLines(
        Stream text, FingerprintStream raw, bool isGzip, Parser parser, CancellationToken cancellation)
    {
        var buffer = new byte[1 << 17];
        int used = 0;
        long total = 0;

        // The platform's gzip reader takes a file that ends early for a short one, so the check is made here.
        var crc = new Crc32();
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = text.Read(buffer, used, buffer.Length - used);
            if (count == 0)
            {
                break;
            }

            crc.Append(buffer.AsSpan(used, count));
            total += count;
            used += count;
            int done = 0;
            while (true)
            {
                int length = buffer.AsSpan(done, used - done).IndexOf((byte)'\n');
                if (length < 0)
                {
                    break;
                }

                if (parser.Add(buffer.AsSpan(done, length)) is { } error)
                {
                    return error;
                }

                done += length + 1;
            }

            buffer.AsSpan(done, used - done).CopyTo(buffer);
            used -= done;
            if (used > MaxLineBytes)
            {
                return parser.Error(1, s_tooLong);
            }
        }

        if (isGzip && !IsWhole(raw, crc.GetCurrentHashAsUInt32(), total))
        {
            return parser.Error(1, "the gzip data are cut off or damaged here; expected one whole gzip file");
        }

        return used > 0
            ? parser.Error(1, "the file is cut off in this line; expected a line end after whole fields")
            : null;
    }

    // RFC 1952 section 2.3.1: a member ends with the CRC-32 and the length modulo 2^32 of its data.
    private static bool IsWhole(FingerprintStream raw, uint crc, long total)
    {
        Span<byte> rest = stackalloc byte[4096];
        while (raw.Read(rest) > 0)
        {
            // Only the end of the file is of interest.
        }

        return raw.BytesRead >= 18 && (uint)raw.Tail == crc && (uint)(raw.Tail >> 32) == (uint)total;
    }

    private sealed class Parser(string file) : IDisposable
    {
        private readonly NameCache _names = new();
        private EventLog? _events = new();
        private char[] _text = new char[1024];
        private long _lastTime = long.MinValue;
        private int _lostGaps;
        private long _lostEvents;
        private int _ignored;
        private int _outOfOrder;
        private int _firstOutOfOrder;
        public int Line { get; private set; }
        public InputError Error(int ahead, string message) => new(file, Line + ahead, message);

        public InputError? Add(ReadOnlySpan<byte> line)
        {
            Line++;
            if (line.Length > MaxLineBytes)
            {
                return Error(0, s_tooLong);
            }

            if (_text.Length < line.Length)
            {
                _text = new char[MaxLineBytes];
            }

            // Names are bytes to the kernel; what is not UTF-8 becomes a replacement character.
            int count = Encoding.UTF8.GetChars(line, _text);
            TraceLineKind kind = TraceLine.Parse(
                _text.AsSpan(0, count), Line, _names, out TraceEvent found, out long lost, out string expected);
            switch (kind)
            {
                case TraceLineKind.Malformed:
                    return Error(0, $"expected {expected}");
                case TraceLineKind.Lost:
                    _lostGaps++;
                    _lostEvents += Math.Max(0, lost);
                    break;
                case TraceLineKind.Other:
                    _ignored++;
                    break;
                case TraceLineKind.Event:
                    AddEvent(found);
                    break;
                default:
                    break;
            }

            return null;
        }

        public InputResult<Trace> Finish(string sha256)
        {
            EventLog events = _events!;
            if (events.Count == 0)
            {
                return InputResult<Trace>.Refuse(new InputError(
                    file,
                    Line,
                    "the trace is empty; expected lines of sched_process_fork, sched_process_exec or "
                        + "sched_process_exit"));
            }

            events.Seal();
            _events = null;
            return InputResult<Trace>.Ok(new Trace
            {
                File = Path.GetFileName(file),
                Sha256 = sha256,
                Events = events,
                FirstNanoseconds = events.First,
                LastNanoseconds = events.Last,
                LostGaps = _lostGaps,
                LostEvents = _lostEvents,
                IgnoredEvents = _ignored,
                OutOfOrder = _outOfOrder,
                FirstOutOfOrderLine = _firstOutOfOrder,
            });
        }

        // A trace that was read whole has taken the events over.
        public void Dispose() => _events?.Dispose();

        private void AddEvent(in TraceEvent found)
        {
            if (found.Nanoseconds < _lastTime)
            {
                _outOfOrder++;
                if (_firstOutOfOrder == 0)
                {
                    _firstOutOfOrder = found.Line;
                }
            }

            _lastTime = found.Nanoseconds;
            _events!.Add(found);
        }
    }

    /// <summary>A stream whose first two bytes have been read.</summary>
    private sealed class PrefixStream : Stream
    {
        private readonly Stream _inner;
        private readonly byte[] _prefix = new byte[2];
        private readonly int _length;
        private int _given;

        public PrefixStream(Stream inner)
        {
            _inner = inner;
            _length = inner.ReadAtLeast(_prefix, 2, throwOnEndOfStream: false);
        }

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public bool StartsWith(ReadOnlySpan<byte> magic) => _prefix.AsSpan(0, _length).SequenceEqual(magic);
        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (_given == _length || buffer.IsEmpty)
            {
                return _inner.Read(buffer);
            }

            int count = Math.Min(buffer.Length, _length - _given);
            _prefix.AsSpan(_given, count).CopyTo(buffer);
            _given += count;
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
