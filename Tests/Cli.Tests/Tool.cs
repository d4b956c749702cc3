// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Reflection;

namespace PasidFramework.Cli.Tests;

/// <summary>What a process left behind.</summary>
internal sealed record Outcome(int ExitCode, string Out, string Error);

/// <summary>Starts the real executables.</summary>
internal static class Tool
{
    public static string Vectors => Path.Combine(AppContext.BaseDirectory, "Vectors");
    public static string Repository => Metadata("RepositoryRoot");
    public static string Folder => Binary("Cli");
    public static string Drivers => Path.Combine(Folder, "drivers");
    public static string Executable => Path.Combine(Folder, "pasidctl");

    public static string Binary(string project) =>
        Path.Combine(Metadata("BinaryRoot"), project, Metadata("BinaryConfiguration"));

    /// <summary>Runs the tool as a script would: all streams are pipes, and TERM claims a terminal.</summary>
    public static Outcome Run(params string[] arguments) => Wait(Start(Executable, arguments));

    /// <summary>Runs the tool with environment variables of its own.</summary>
    public static Outcome RunIn(IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        Wait(Start(Executable, arguments, environment: environment));

    /// <summary>Runs the tool with text on its stdin.</summary>
    public static Outcome RunWith(string input, params string[] arguments)
    {
        Process process = Start(Executable, arguments, keepInput: true);
        Task writing = Task.Run(() =>
        {
            process.StandardInput.Write(input);
            process.StandardInput.Close();
        });
        Outcome outcome = Wait(process);
        writing.GetAwaiter().GetResult();
        return outcome;
    }

    public static Outcome Recompute(string events, string report) =>
        Wait(Start(Path.Combine(Binary("Recompute"), "PasidFramework.Recompute"), [events, report]));

    public static Process Start(
        string file,
        IEnumerable<string> arguments,
        bool keepInput = false,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["TERM"] = "xterm";
        start.Environment.Remove("NO_COLOR");
        start.Environment.Remove("CI");
        foreach (string name in start.Environment.Keys.Where(k =>
            k.StartsWith("PASIDCTL_", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            start.Environment.Remove(name);
        }

        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        Process process = Process.Start(start)!;
        if (!keepInput)
        {
            process.StandardInput.Close();
        }

        return process;
    }

    public static Outcome Wait(Process process)
    {
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            process.WaitForExit();
            return new Outcome(process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
        }
    }

    public static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string Metadata(string key) => typeof(Tool).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(a => a.Key == key).Value!;
}

/// <summary>An empty folder that is removed afterwards.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("pasidctl-").FullName;
    public string this[string name] => Path.Combine(Root, name);

    /// <summary>Copies a folder with its files into this one.</summary>
    public string Copy(string source, string name)
    {
        string target = this[name];
        foreach (string file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(target, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }

        return target;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
