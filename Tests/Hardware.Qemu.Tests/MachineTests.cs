using PasidFramework.Qemu.Devices;

namespace PasidFramework.Qemu.Tests;

public sealed class MachineTests
{
    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void Memory_of_this_process_is_what_a_device_reads_and_writes(string name)
    {
        using QemuMachine machine = QemuMachine.Start(Q35(name));
        var edu = new EduDevice(machine, new PortPciConfiguration(machine.Client), new RequesterId(0x20), 0xE000_0000);
        ulong page = machine.Memory.AllocatePages(4096).Value;

        machine.Memory.WriteQword(page + 8, 0x1122_3344_5566_7788);
        edu.Load(page + 8);
        edu.Store(page + 16);
        Assert.Equal(0x1122_3344_5566_7788UL, machine.Memory.ReadQword(page + 16));
    }

    private static QemuMachineSetup Q35(string name) => new()
    {
        Installation = Installed.Get(name),
        Target = QemuTarget.X86,
        Machine = "q35",
        RamBase = 0,
        Arguments = ["-device", "edu,addr=4.0,dma_mask=0xffffffffffffffff"],
    };
}
