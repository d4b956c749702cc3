// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace PasidFramework.Hosting.Tests;

/// <summary>A child process for one test.</summary>
internal sealed class RealProcess : IDisposable
{
    private readonly Process _process;
    private RealProcess(Process process) => _process = process;
    public int Id => _process.Id;

    /// <summary>A process that lives until it is killed.</summary>
    public static RealProcess Sleep() => Start("sleep", "1000000");

    /// <summary>A script that reads from and writes to the test.</summary>
    public static RealProcess Script(string script) => Start("sh", "-c", script);

    public static RealProcess Start(string file, params string[] arguments)
    {
        ProcessStartInfo start = new(file, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        return new RealProcess(Process.Start(start)!);
    }

    public static void Kill(int pid)
    {
        try
        {
            using Process process = Process.GetProcessById(pid);
            process.Kill();
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            // Gone already.
        }
    }

    public string ReadLine()
    {
        Task<string?> line = _process.StandardOutput.ReadLineAsync();
        Assert.True(line.Wait(EndRecorder.Patience), "the child process wrote nothing");
        return line.Result ?? throw new InvalidOperationException("The child process ended early.");
    }

    public int ReadNumber() => int.Parse(ReadLine(), CultureInfo.InvariantCulture);

    public void Write(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
    }

    /// <summary>Kills it, without waiting for anything.</summary>
    public void Kill() => _process.Kill();

    /// <summary>Kills it and waits until the system has let go of its id.</summary>
    public void KillAndReap()
    {
        _process.Kill();
        Assert.True(_process.WaitForExit(EndRecorder.Patience), "a killed process did not end");
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
