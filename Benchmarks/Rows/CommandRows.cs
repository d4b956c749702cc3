// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Reflection;
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>
/// What a user waits for: the built <c>pasidctl</c> as a process of its own, by wall clock and with its peak memory. An
/// operation is an event of the trace, or a line.
/// </summary>
internal static class CommandRows
{
    private const int Lines = 1_000_000;
    private const string Example =
        """{"structure":"intel-vtd/pasid_entry","words64":["0x89","0x800001","0x10abcd000","0","0","0","0","0"]}""";

    public static IReadOnlyList<Row> Rows { get; } =
    [
        new("project compare", ["trace", "trace-10x", "trace-50x"], context =>
        {
            (string Workload, int Times)[] cases = [("trace", 1), ("trace-10x", 10), ("trace-50x", 50)];
            foreach ((string workload, int times) in context.Effort == Effort.Mini ? cases[..1] : cases)
            {
                context.Write(workload, times, 1, Compare(times));
            }
        }),
        new("project explain", ["jsonl"], context =>
        {
            int lines = context.Effort == Effort.Mini ? 1000 : Lines;
            context.Write("jsonl", lines, 1, Explain(lines));
        }),
    ];

    private static (double Nanoseconds, string Note) Compare(int times)
    {
        string[] lines = ReadTrace();
        string file = Path.GetTempFileName();
        try
        {
            int events = WriteRepeated(lines, times, file);
            (double seconds, double mebibytes) = RunTool(["compare", "--quiet", "--trace", file], null);
            return (seconds * 1e9 / events, Text($"{seconds:F2} s; {mebibytes:F0} MiB peak; {events} events"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static (double Nanoseconds, string Note) Explain(int count)
    {
        (double seconds, double mebibytes) = RunTool(["explain", "--jsonl"], input =>
        {
            for (int i = 0; i < count; i++)
            {
                input.WriteLine(Example);
            }
        });
        return (seconds * 1e9 / count,
            Text($"{count / seconds:F0} lines/s; {seconds:F2} s; {mebibytes:F0} MiB peak"));
    }

    private static string[] ReadTrace()
    {
        using var trace = new GZipStream(File.OpenRead(Metadata("Trace")), CompressionMode.Decompress);
        using var reader = new StreamReader(trace);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    // The recording again and again, each a second after the last: the time stamp is what stands before the first
    // "sched_process_".
    private static int WriteRepeated(string[] lines, int times, string file)
    {
        using var writer = new StreamWriter(file);
        (int At, int Length)[] stamps = [.. lines.Select(FindStamp)];
        double first = stamps.Index().Where(s => s.Item.Length > 0).Min(s => Stamp(s.Index));
        double last = stamps.Index().Where(s => s.Item.Length > 0).Max(s => Stamp(s.Index));
        int events = 0;
        for (int round = 0; round < times; round++)
        {
            for (int i = 0; i < lines.Length; i++)
            {
                if (stamps[i].Length > 0)
                {
                    double time = Stamp(i) + (round * (last - first + 1));
                    writer.Write(lines[i].AsSpan(0, stamps[i].At));
                    writer.Write(Text($"{time:F6}"));
                    writer.Write(lines[i].AsSpan(stamps[i].At + stamps[i].Length));
                    writer.Write('\n');
                    events++;
                }
                else if (round == 0)
                {
                    writer.Write(lines[i]);
                    writer.Write('\n');
                }
            }
        }

        return events;

        double Stamp(int line) => double.Parse(
            lines[line].AsSpan(stamps[line].At, stamps[line].Length), CultureInfo.InvariantCulture);
    }

    private static (int At, int Length) FindStamp(string line)
    {
        int end = line.IndexOf(": sched_process_", StringComparison.Ordinal);
        int begin = end < 0 ? -1 : line.LastIndexOf(' ', end) + 1;
        return line[0] == '#' || end < 0 ? (0, 0) : (begin, end - begin);
    }

    private static (double Seconds, double Mebibytes) RunTool(string[] arguments, Action<StreamWriter>? write)
    {
        var start = new ProcessStartInfo(Metadata("Tool"), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        long begin = Stopwatch.GetTimestamp();
        using Process process = Process.Start(start)!;
        Task output = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task input = Task.Run(() =>
        {
            write?.Invoke(process.StandardInput);
            process.StandardInput.Close();
        });

        // The system forgets the peak with the process, so it is read until the process is gone; it only rises.
        long peak = 0;
        while (!process.WaitForExit(TimeSpan.FromMilliseconds(5)))
        {
            peak = Math.Max(peak, PeakKibibytes(process.Id));
        }

        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        Task.WaitAll(output, input, error);
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException(
                $"pasidctl {string.Join(' ', arguments)}: exit code {process.ExitCode}: {error.Result.Trim()}");
        }

        return (seconds, peak / 1024.0);
    }

    private static long PeakKibibytes(int process)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status")
                .FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.Split(' ', '\t')[^2], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static string Metadata(string key) => typeof(CommandRows).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;
}
