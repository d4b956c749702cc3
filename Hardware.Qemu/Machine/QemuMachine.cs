// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;

namespace PasidFramework.Qemu.Machine;

internal sealed record QemuMachineSetup
{
    public required QemuInstallation Installation { get; init; }
    public required QemuTarget Target { get; init; }

    /// <summary>Machine type with its properties, without the memory backend.</summary>
    public required string Machine { get; init; }

    /// <summary>Further arguments: CPU and devices.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    public required ulong RamBase { get; init; }

    /// <summary>Size of the RAM in bytes, a multiple of 1 MiB.</summary>
    public long RamBytes { get; init; } = 256L << 20;

    /// <summary>How long an answer may take.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>
/// A QEMU without a guest: its CPU never runs, registers are reached over QTest, its RAM is this process's memory. It
/// is killed when disposed, and with this process however that ends.
/// </summary>
internal sealed class QemuMachine : IDisposable
{
    // Versions whose package lacks the qtest accelerator run the CPU, on firmware that only halts; virtual time then
    // jumps.
    private const string HaltingAccelerator = "tcg";
    private static readonly ConcurrentDictionary<(string, QemuTarget), bool> s_needsHalting = new();

    // How long the end of a process that was killed, or its last words, may take.
    private static readonly TimeSpan s_endPatience = TimeSpan.FromSeconds(10);
    private readonly Process _process;
    private readonly string _folder;
    private readonly string _essence;
    private readonly ConcurrentQueue<string> _lastWords = new();
    private readonly CountdownEvent _openPipes = new(2);
    private readonly bool _hasStarted;
    private int _disposed;

    private QemuMachine(QemuMachineSetup setup, bool halting)
    {
        Setup = setup;
        IsHalting = halting;
        _essence = $"{setup.Installation} -M {setup.Machine}";
        string shared = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        _folder = Path.Combine(shared, "pasid-qemu-" + Path.GetRandomFileName());
        Directory.CreateDirectory(_folder);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        try
        {
            string ram = Path.Combine(_folder, "ram");
            using (FileStream file = File.Create(ram))
            {
                file.SetLength(setup.RamBytes);
            }

            string path = Path.Combine(_folder, "qtest");
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen(1);
            _process = Start(setup, halting, ram, path);
            Client = new QTestClient(Accept(listener), setup.Patience, Describe);
            Memory = new QemuMemory(ram, setup.RamBase, setup.RamBytes, setup.RamBase + (ulong)(setup.RamBytes / 4));

            // It answers only when it has everything open: nothing of it can be left behind from here on.
            _ = Client.Read32(setup.RamBase);
            _hasStarted = true;
            Directory.Delete(_folder, recursive: true);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public QemuMachineSetup Setup { get; }

    /// <summary>Whether the CPU runs firmware that halts, because the qtest accelerator is not there.</summary>
    public bool IsHalting { get; }

    /// <summary>Where its files were while it started; for tests.</summary>
    public string Folder => _folder;

    public int ProcessId => _process.Id;
    public QTestClient Client { get; }
    public QemuMemory Memory { get; }

    /// <exception cref="QemuException">It does not start or does not answer; no process is left.</exception>
    public static QemuMachine Start(QemuMachineSetup setup)
    {
        (string, QemuTarget) key = (setup.Installation.ToString(), setup.Target);
        if (s_needsHalting.TryGetValue(key, out bool halting) && halting)
        {
            return new QemuMachine(setup, halting: true);
        }

        try
        {
            return new QemuMachine(setup, halting: false);
        }
        catch (QemuException e) when (e.Message.Contains("invalid accelerator", StringComparison.Ordinal))
        {
            s_needsHalting[key] = true;
            return new QemuMachine(setup, halting: true);
        }
    }

    /// <summary>What lets timers of at most 200 ms expire; nothing without the qtest accelerator, where virtual time
    /// needs no help.</summary>
    public QTestCommand[] TimersExpire => IsHalting ? [] : [QTestCommand.StepClock(200_000_000)];

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        Client?.Dispose();
        if (_process is not null)
        {
            try
            {
                // Finding children reads all of /proc; a QEMU that works has none.
                _process.Kill(entireProcessTree: !_hasStarted);
                _process.WaitForExit(s_endPatience);
            }
            catch (InvalidOperationException)
            {
                // It had ended by itself.
            }

            _process.Dispose();
        }

        Memory?.Dispose();
        _openPipes.Dispose();
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private Process Start(QemuMachineSetup setup, bool halting, string ram, string socket)
    {
        List<string> arguments =
        [
            "-display", "none", "-nodefaults", "-no-user-config",
            "-machine", $"{setup.Machine},memory-backend=ram",
            "-m", Text($"{setup.RamBytes >> 20}M"),
            "-object", Text($"memory-backend-file,id=ram,size={setup.RamBytes >> 20}M,mem-path={ram},share=on"),
            "-qtest", $"unix:{socket}", "-qtest-log", "none",
        ];
        if (halting)
        {
            string firmware = Path.Combine(_folder, "halt");
            File.WriteAllBytes(firmware, HaltingFirmware(setup.Target));
            arguments.AddRange(["-accel", HaltingAccelerator, "-icount", "shift=0,sleep=off", "-bios", firmware]);
        }
        else
        {
            arguments.AddRange(["-accel", "qtest"]);
        }

        try
        {
            ProcessStartInfo info = setup.Installation.StartInfo(setup.Target);
            foreach (string argument in arguments.Concat(setup.Arguments))
            {
                info.ArgumentList.Add(argument);
            }

            Process process = QemuStarter.Start(info) ?? throw new QemuException($"{_essence} does not start");
            process.ErrorDataReceived += Collect;
            process.OutputDataReceived += Collect;
            process.StandardInput.Close();
            process.BeginErrorReadLine();
            process.BeginOutputReadLine();
            return process;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException)
        {
            throw new QemuException($"{_essence} does not start: {e.Message}", e);
        }
    }

    private void Collect(object sender, DataReceivedEventArgs received)
    {
        if (received.Data is null)
        {
            try
            {
                _openPipes.Signal();
            }
            catch (ObjectDisposedException)
            {
                // Nothing waits for it any more.
            }
        }
        else if (!string.IsNullOrWhiteSpace(received.Data))
        {
            _lastWords.Enqueue(received.Data.Trim());
            while (_lastWords.Count > 20)
            {
                _lastWords.TryDequeue(out _);
            }
        }
    }

    private Socket Accept(Socket listener)
    {
        long since = Stopwatch.GetTimestamp();
        while (!listener.Poll(TimeSpan.FromMilliseconds(20), SelectMode.SelectRead))
        {
            if (_process.HasExited)
            {
                throw new QemuException($"{_essence} ended at its start; {Describe(gone: true)}");
            }

            if (Stopwatch.GetElapsedTime(since) > Setup.Patience)
            {
                throw new QemuException(Text(
                    $"{_essence} did not connect within {Setup.Patience.TotalSeconds} s; {Describe(gone: false)}"));
            }
        }

        return listener.Accept();
    }

    // Its end and its last words may still be on their way when the connection is lost.
    private string Describe(bool gone)
    {
        string state = "it is running";
        try
        {
            if (gone ? _process.WaitForExit(s_endPatience) : _process.HasExited)
            {
                _openPipes.Wait(s_endPatience);
                state = Text($"it has exited with code {_process.ExitCode}");
            }
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException)
        {
            state = "it was stopped";
        }

        return _lastWords.IsEmpty
            ? $"{state} and printed nothing"
            : $"{state} and printed: {string.Join(" / ", _lastWords)}";
    }

    private static byte[] HaltingFirmware(QemuTarget target)
    {
        var image = new byte[64 << 10];
        (int offset, byte[] code) = target switch
        {
            // The reset vector of x86 is 16 bytes below the end: cli; hlt; jmp -3.
            QemuTarget.X86 => (image.Length - 16, (byte[])[0xFA, 0xF4, 0xEB, 0xFD]),

            // wfi; b -4.
            QemuTarget.Arm => (0, [0x7F, 0x20, 0x03, 0xD5, 0xFF, 0xFF, 0xFF, 0x17]),
            _ => throw new ArgumentOutOfRangeException(nameof(target), target, null),
        };
        code.CopyTo(image, offset);
        return image;
    }
}
