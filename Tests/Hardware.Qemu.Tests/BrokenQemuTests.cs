// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text;

namespace PasidFramework.Qemu.Tests;

/// <summary>
/// A QEMU that is missing, old, hangs, dies or answers nonsense: one line that says so, within a bounded time, and
/// nothing is left behind. Where a deadline is awaited the fake would never answer: the time that it takes decides
/// nothing.
/// </summary>
public sealed class BrokenQemuTests
{
    private const string Forever = "exec sleep 1000000";

    [Fact]
    public void A_folder_that_is_not_there_or_empty_has_no_installations_and_no_problems()
    {
        var problems = new List<string>();
        string empty = Directory.CreateTempSubdirectory("pasid-fake-").FullName;

        Assert.Empty(
            QemuInstallation.Find(Path.Combine(empty, "none"), string.Empty, Timeout.InfiniteTimeSpan, problems));
        Assert.Empty(QemuInstallation.Find(empty, string.Empty, Timeout.InfiniteTimeSpan, problems));
        Assert.Empty(problems);
        Directory.Delete(empty);
    }

    [Fact]
    public void A_folder_that_was_not_unpacked_to_the_end_is_a_problem()
    {
        using var fake = new FakeQemu(Forever);
        File.Delete(Path.Combine(fake.Home, "fake", "complete"));

        Assert.Contains("not a complete installation", Problem(fake), StringComparison.Ordinal);
    }

    [Fact]
    public void An_installation_without_its_programs_is_a_problem()
    {
        using var fake = new FakeQemu(Forever);
        Directory.Delete(Path.Combine(fake.Home, "fake", "usr"), recursive: true);

        Assert.Contains("does not start", Problem(fake), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("echo 'QEMU emulator version 7.2.22 (Debian 1:7.2)'", "QEMU 7.2.22 (fake) is older than 10.0")]
    [InlineData("echo 'hello'; echo 'world'", "does not say its version: hello")]
    [InlineData("echo 'no such library' >&2; exit 127", "does not say its version: no such library")]
    [InlineData("exit 0", "does not say its version")]
    public void A_QEMU_that_is_old_or_does_not_say_its_version_is_a_problem(string version, string expected)
    {
        using var fake = new FakeQemu(Forever, version);

        Assert.Contains(expected, Problem(fake), StringComparison.Ordinal);
        fake.AssertNothingIsLeft();
    }

    [Fact]
    public void A_QEMU_that_never_says_its_version_is_a_problem_and_is_killed()
    {
        using var fake = new FakeQemu(Forever, Forever);
        var problems = new List<string>();

        Assert.Empty(QemuInstallation.Find(fake.Home, string.Empty, TimeSpan.FromSeconds(1), problems));

        Assert.Contains("does not answer --version within 1 s", Assert.Single(problems), StringComparison.Ordinal);
        fake.AssertNothingIsLeft();
    }

    [Fact]
    public void A_QEMU_that_ends_at_once_is_reported_with_its_code_and_its_last_words()
    {
        using var fake = new FakeQemu("echo 'cannot set up guest memory' >&2; exit 3");

        foreach (IHardwareBackEnd backEnd in QemuBackEnds.For(fake.Installation))
        {
            string message = OneLine(Assert.Throws<QemuException>(() => { _ = backEnd.Start(new HardwareSetup()); }));

            Assert.Contains("ended at its start; it has exited with code 3", message, StringComparison.Ordinal);
            Assert.Contains("cannot set up guest memory", message, StringComparison.Ordinal);
            fake.AssertNothingIsLeft();
        }
    }

    [Fact]
    public void A_QEMU_whose_files_went_away_does_not_start()
    {
        using var fake = new FakeQemu(Forever);
        QemuInstallation installation = fake.Installation;
        Directory.Delete(Path.Combine(fake.Home, "fake", "usr"), recursive: true);

        string message = OneLine(Assert.Throws<QemuException>(() => Start(installation)));

        Assert.Contains("does not start", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_QEMU_that_never_connects_is_given_up()
    {
        using var fake = new FakeQemu("echo 'thinking'; " + Forever);

        string message = OneLine(Assert.Throws<QemuException>(() => Start(fake.Installation)));

        Assert.Contains("did not connect within 2 s; it is running", message, StringComparison.Ordinal);
        fake.AssertNothingIsLeft();
    }

    [Theory]
    [InlineData("", "did not answer 'readl 0x0' within 2 s; it is running")]
    [InlineData("IRQ raise 1\n", "did not answer 'readl 0x0' within 2 s; it is running")]
    [InlineData("OK\n", "answered 'OK' to 'readl 0x0'"), InlineData("OK 0xzz\n", "answered 'OK 0xzz' to 'readl 0x0'")]
    [InlineData("FAIL Unknown command\n", "answered 'FAIL Unknown command' to 'readl 0x0'")]
    [InlineData("{\"QMP\": {}}\n", "answered '{\"QMP\": {}}' to 'readl 0x0'")]
    [InlineData("long", "answered a line of more than 4096 bytes to 'readl 0x0'")]
    public void A_QEMU_that_answers_nothing_or_nonsense_is_given_up(string answer, string expected)
    {
        using var fake = new FakeQemu(Forever);
        Thread qemu = fake.Talk(socket =>
        {
            _ = socket.Receive(new byte[100]);
            socket.Send(Encoding.ASCII.GetBytes(answer == "long" ? new string('x', 5000) : answer));

            // Until the other side closes.
            _ = socket.Receive(new byte[100]);
        });

        string message = OneLine(Assert.Throws<QemuException>(() => Start(fake.Installation)));

        Assert.Contains(expected, message, StringComparison.Ordinal);
        qemu.Join();
        fake.AssertNothingIsLeft();
    }

    [Fact]
    public void A_QEMU_that_talks_without_end_is_given_up()
    {
        using var fake = new FakeQemu(Forever);
        Thread qemu = fake.Talk(socket =>
        {
            _ = socket.Receive(new byte[100]);
            byte[] line = "IRQ lower 1\n"u8.ToArray();
            while (true)
            {
                socket.Send(line);
            }
        });

        string message = OneLine(Assert.Throws<QemuException>(() => Start(fake.Installation)));

        Assert.Contains("did not answer 'readl 0x0' within 2 s", message, StringComparison.Ordinal);
        qemu.Join();
        fake.AssertNothingIsLeft();
    }

    [Fact]
    public void A_QEMU_that_hangs_up_is_reported_as_gone()
    {
        using var fake = new FakeQemu("read line < \"$here/go\"; echo 'aborting' >&2; exit 134");
        string go = Path.Combine(fake.Home, "fake/usr/lib/x86_64-linux-gnu/go");
        using (Process fifo = Process.Start("mkfifo", go))
        {
            fifo.WaitForExit();
        }

        Thread qemu = fake.Talk(socket =>
        {
            _ = socket.Receive(new byte[100]);
            File.WriteAllText(go, "\n");
        });

        string message = OneLine(Assert.Throws<QemuException>(() => Start(fake.Installation)));

        Assert.Contains("went away at 'readl 0x0'", message, StringComparison.Ordinal);
        Assert.Contains("it has exited with code 134 and printed: aborting", message, StringComparison.Ordinal);
        qemu.Join();
        fake.AssertNothingIsLeft();
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_QEMU_that_dies_in_the_middle_is_reported_at_once_and_every_time(string name, string architecture)
    {
        using ITestHardware hardware = Installed.Start(name, architecture);
        QemuMachine machine = ((QemuHardware)hardware).Machine;
        int pid = machine.ProcessId;
        using var qemu = Process.GetProcessById(pid);

        qemu.Kill();
        string first = OneLine(Assert.Throws<QemuException>(() => { _ = hardware.Registers.Read32(0); }));
        string second = OneLine(Assert.Throws<QemuException>(() => hardware.Registers.Write32(0, 0)));

        Assert.Contains("QEMU went away at 'read", first, StringComparison.Ordinal);
        Assert.Contains("it has exited with code 137", first, StringComparison.Ordinal);
        Assert.Equal(first, second);
        hardware.Dispose();
        Assert.False(Directory.Exists($"/proc/{pid}"));
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_machine_that_was_disposed_says_so_and_leaves_neither_process_nor_folder(string name)
    {
        ITestHardware hardware = Installed.Start(name, "intel-vtd");
        int pid = ((QemuHardware)hardware).Machine.ProcessId;
        Assert.True(Directory.Exists($"/proc/{pid}"));
        string folder = ((QemuHardware)hardware).Machine.Folder;
        Assert.False(Directory.Exists(folder));

        hardware.Dispose();
        hardware.Dispose();

        Assert.False(Directory.Exists($"/proc/{pid}"));
        Assert.Contains(
            "was stopped", Assert.Throws<QemuException>(() => { _ = hardware.Registers.Read32(0); }).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void A_machine_outlives_the_thread_that_started_it(string name)
    {
        IHardwareBackEnd backEnd = Installed.BackEnd(name, "intel-vtd");
        OpResult<ITestHardware> started = default;
        var thread = new Thread(() => started = backEnd.Start(new HardwareSetup()));
        thread.Start();
        thread.Join();

        // The signal of a parent's death would have come with the thread's end.
        using ITestHardware? hardware = started.Value;
        for (int i = 0; i < 100; i++)
        {
            Assert.NotEqual(0u, hardware!.Registers.Read32(0x8));
        }
    }

    private static void Start(QemuInstallation installation)
    {
        using QemuMachine machine = QemuMachine.Start(new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.X86,
            Machine = "q35",
            RamBase = 0,
            Patience = TimeSpan.FromSeconds(2),
        });
    }

    private static string Problem(FakeQemu fake)
    {
        var problems = new List<string>();
        Assert.Empty(QemuInstallation.Find(fake.Home, string.Empty, TimeSpan.FromMinutes(1), problems));
        return Assert.Single(problems);
    }

    private static string OneLine(QemuException e)
    {
        Assert.IsAssignableFrom<HardwareException>(e);
        Assert.DoesNotContain('\n', e.Message);
        return e.Message;
    }
}
