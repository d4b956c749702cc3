using Microsoft.Extensions.Options;
using PasidFramework.Drivers;
using PasidFramework.Drivers.ArmSmmu;
using PasidFramework.Hardware;
using PasidFramework.Options;
using PasidFramework.Processes;
using PasidFramework.Qemu.Smmu;

namespace PasidFramework.Qemu.Tests;

public sealed class SmmuTests
{
    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void First_try(string name)
    {
        using SmmuQemu qemu = SmmuQemu.Start(Installed.Get(name), 4);
        OpResult<IIommuUnit> unit = new SmmuDriver().CreateUnit(new UnitSetup { Name = "u", Hardware = qemu });
        Assert.True(unit.IsOk, unit.ToString());
        using var core = new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions { First = 63 }));
        IommuInstance instance = core.AddInstance("arm-smmu", unit.Value!);
        Domain domain = core.CreateDomain(instance, "d", 20).Value!;
        Device[] devices = [.. qemu.Channels.Select((c, i) => core.AddDevice(domain, $"d{i}", c, new PasidRange(1, 0xFFFFF)).Value!)];
        for (int i = 0; i < 4; i++)
        {
            qemu.Carry(qemu.Channels[i], new Pasid((uint)(63 + i)));
        }

        var bound = new List<Pasid>();
        for (int i = 0; i < 4; i++)
        {
            ulong page = qemu.Ram.AllocatePages(4096).Value;
            qemu.Watch(page);
            var process = new Proc(qemu.Ram, i, page);
            OpResult<Pasid> pasid = core.Bind(devices[i], process);
            Assert.True(pasid.IsOk, pasid.ToString());
            bound.Add(pasid.Value);
            TranslationResult r = qemu.Translate(new DmaAccess(qemu.Channels[i], pasid.Value, 0x7f0000001008, true));
            TestContext.Current.SendDiagnosticMessage($"{name} {pasid} {r} want {page + 8:x} got {r.Address:x}");
        }

        for (int i = 0; i < 4; i++)
        {
            core.Unbind(devices[i], bound[i]);
            TranslationResult r = qemu.Translate(new DmaAccess(qemu.Channels[i], bound[i], 0x7f0000001008, true));
            TestContext.Current.SendDiagnosticMessage($"{name} {bound[i]} {r}");
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
                ram.WriteQword(t[level] + (index * 8), level == 3 ? page | 3 | (1UL << 6) | (3UL << 8) | (1UL << 10) | (1UL << 11) | (1UL << 2) : t[level + 1] | 3);
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
