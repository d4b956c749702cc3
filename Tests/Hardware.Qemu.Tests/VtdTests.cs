using Microsoft.Extensions.Options;
using PasidFramework.Drivers;
using PasidFramework.Drivers.IntelVtd;
using PasidFramework.Hardware;
using PasidFramework.Options;
using PasidFramework.Processes;
using PasidFramework.Qemu.Vtd;

namespace PasidFramework.Qemu.Tests;

public sealed class VtdTests
{
    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void First_try(string name)
    {
        using VtdQemu qemu = VtdQemu.Start(Installed.Get(name), 4);
        IIommuUnit unit = new VtdDriver().CreateUnit(new UnitSetup { Name = "u", Hardware = qemu }).Value!;
        using var core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { First = 63 }));
        IommuInstance instance = core.AddInstance("intel-vtd", unit);
        Domain domain = core.CreateDomain(instance, "d", 20).Value!;
        Device[] devices = [.. qemu.Channels.Select((c, i) => core.AddDevice(domain, $"d{i}", c, new PasidRange(1, 0xFFFFF)).Value!)];
        for (int i = 0; i < 4; i++)
        {
            qemu.Carry(qemu.Channels[i], new Pasid((uint)(63 + i)));
        }

        for (int i = 0; i < 4; i++)
        {
            ulong page = qemu.Ram.AllocatePages(4096).Value;
            qemu.Watch(page);
            var process = new Proc(qemu.Ram, i, page);
            Pasid pasid = core.Bind(devices[i], process).Value;
            TranslationResult r = qemu.Translate(new DmaAccess(qemu.Channels[i], pasid, 0x7f0000001008, true));
            TestContext.Current.SendDiagnosticMessage($"{name} {pasid} {r} want {page + 8:x} got {r.Address:x}");
            core.Unbind(devices[i], pasid);
            r = qemu.Translate(new DmaAccess(qemu.Channels[i], pasid, 0x7f0000001008, true));
            TestContext.Current.SendDiagnosticMessage($"{name} {pasid} {r}");
        }
    }

    private sealed class Proc : IAddressSpace
    {
        public Proc(QemuMemory ram, int id, ulong page)
        {
            Id = new AddressSpaceId((ulong)id);
            ulong[] t = [.. Enumerable.Range(0, 4).Select(_ => ram.AllocatePages(4096).Value)];
            ulong va = 0x7f0000001000;
            for (int level = 0; level < 4; level++)
            {
                ulong index = (va >> (39 - (9 * level))) & 511;
                ram.WriteQword(t[level] + (index * 8), (level == 3 ? page : t[level + 1]) | 7 | (level == 3 ? 0x60UL : 0x20));
            }

            PageTableRoot = t[0];
        }

        public AddressSpaceId Id { get; }
        public int Pid => 5;
        public string Name => "x";
        public ulong PageTableRoot { get; }
        public bool IsAlive => true;
    }
}
