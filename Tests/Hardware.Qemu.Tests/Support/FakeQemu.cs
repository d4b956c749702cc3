// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>A folder with a complete installation whose QEMU is a shell script.</summary>
internal sealed class FakeQemu : IDisposable
{
    private const string GoodVersion = "echo 'QEMU emulator version 10.0.13 (a fake)'";
    private readonly string _files;

    public FakeQemu(string body, string version = GoodVersion)
    {
        Home = Path.Combine(Path.GetTempPath(), "pasid-fake-" + Path.GetRandomFileName());
        _files = Path.Combine(Home, "fake", "usr/lib/x86_64-linux-gnu");
        Directory.CreateDirectory(_files);
        File.WriteAllText(Path.Combine(_files, "body"), body + "\n");
        File.WriteAllText(Path.Combine(_files, "version"), version + "\n");
        File.WriteAllText(Path.Combine(Home, "fake", "complete"), "yes\n");

        // Never written by this process: a fork of another test could hold it open for writing, and it would not start.
        File.CreateSymbolicLink(
            Path.Combine(_files, "ld-linux-x86-64.so.2"), Path.Combine(AppContext.BaseDirectory, "Fakes/fake-qemu.sh"));
    }

    public string Home { get; }

    public QemuInstallation Installation
    {
        get
        {
            var problems = new List<string>();
            IReadOnlyList<QemuInstallation> found =
                QemuInstallation.Find(Home, string.Empty, TimeSpan.FromMinutes(1), problems);
            Assert.Empty(problems);
            return Assert.Single(found);
        }
    }

    /// <summary>The socket that the script was told to connect to; waits until there is one.</summary>
    public string SocketPath
    {
        get
        {
            string arguments = Path.Combine(_files, "arguments");
            Assert.True(SpinWait.SpinUntil(() => File.Exists(arguments), TimeSpan.FromMinutes(1)));
            return File.ReadLines(arguments)
                .Single(a => a.StartsWith("unix:", StringComparison.Ordinal))["unix:".Length..];
        }
    }

    /// <summary>Connects as QEMU would, and talks on a thread of its own.</summary>
    public Thread Talk(Action<Socket> talk)
    {
        var thread = new Thread(() =>
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
            try
            {
                talk(socket);
            }
            catch (SocketException)
            {
                // The other side has given up.
            }
        });
        thread.Start();
        return thread;
    }

    /// <summary>Neither a process nor a file of the machine is left.</summary>
    public void AssertNothingIsLeft()
    {
        string pid = File.ReadAllText(Path.Combine(_files, "pid")).Trim();
        Assert.False(Directory.Exists($"/proc/{pid}"), $"process {pid} is still there");
        if (File.Exists(Path.Combine(_files, "arguments")))
        {
            Assert.False(Directory.Exists(Path.GetDirectoryName(SocketPath)));
        }
    }

    public void Dispose() => Directory.Delete(Home, recursive: true);
}
