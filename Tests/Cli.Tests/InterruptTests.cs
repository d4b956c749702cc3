// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.IO.Compression;
using System.Text;

namespace PasidFramework.Cli.Tests;

public class InterruptTests
{
    [Theory]
    [InlineData("INT"), InlineData("TERM")]
    public void A_signal_while_the_trace_is_read_ends_with_130_and_no_result(string signal)
    {
        using var folder = new TemporaryFolder();
        string pipe = folder["trace"];
        using (Process mkfifo = Process.Start("mkfifo", pipe))
        {
            mkfifo.WaitForExit();
        }

        using Process tool = Start("compare", "--trace", pipe, "--json", folder["r"], "--events", folder["e"]);

        // Opening returns once the tool reads from the other end; it cannot finish while this end is open.
        using (var writer = new FileStream(pipe, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0))
        {
            Kill(signal, tool);
            byte[] line = Encoding.ASCII.GetBytes("sh-1 [000] ..... 1.000000: sched_switch: x\n");
            try
            {
                while (!tool.HasExited)
                {
                    writer.Write(line);
                }
            }
            catch (IOException)
            {
                // The reader is gone, as it should be.
            }
        }

        AssertInterrupted(Tool.Wait(tool));
        Assert.Equal([pipe], Directory.EnumerateFileSystemEntries(folder.Root));
    }

    [Fact]
    public async Task A_signal_during_the_replay_ends_with_130_and_removes_what_was_written()
    {
        using var folder = new TemporaryFolder();
        string trace = folder["long.trace"];
        WriteLongTrace(trace);
        using Process tool = Start("compare", "--trace", trace, "--json", folder["r"], "--events", folder["e"]);

        // Its temporary file shows that the replay has begun; the trace is long enough for it not to be over.
        while (!tool.HasExited && !Directory.EnumerateFiles(folder.Root, "*.part").Any())
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Kill("INT", tool);

        AssertInterrupted(Tool.Wait(tool));
        Assert.Equal([trace], Directory.EnumerateFileSystemEntries(folder.Root));
    }

    private static void AssertInterrupted(Outcome outcome)
    {
        Assert.Equal((130, string.Empty), (outcome.ExitCode, outcome.Out));
        Assert.Equal("pasidctl: interrupted; there is no result\n", outcome.Error);
    }

    // A test runner in the background may have been told to ignore Ctrl-C, and children inherit that.
    private static Process Start(params string[] arguments) =>
        Tool.Start("env", ["--default-signal=INT,TERM", Tool.Executable, .. arguments]);

    private static void Kill(string signal, Process process)
    {
        using Process kill = Process.Start("kill",
            [$"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    // The bundled trace ten times, each copy 1000 seconds after the one before.
    private static void WriteLongTrace(string path)
    {
        using FileStream file = File.OpenRead(Path.Combine(Tool.Folder, "data", "traces", "dotnet-build.trace.gz"));
        using var text = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        string once = text.ReadToEnd();
        using var writer = new StreamWriter(path);
        for (int copy = 0; copy < 10; copy++)
        {
            foreach (string line in Tool.Lines(once))
            {
                // Times are 4021 to 4180 seconds.
                int at = line.IndexOf(".  4", StringComparison.Ordinal);
                writer.Write(at < 0 ? line : $"{line[..(at + 3)]}{4 + copy}{line[(at + 4)..]}");
                writer.Write('\n');
            }
        }
    }
}
