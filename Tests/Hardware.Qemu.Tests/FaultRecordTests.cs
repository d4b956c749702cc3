using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Identifiers;
using PasidFramework.Qemu.Tests.Support;

namespace PasidFramework.Qemu.Tests;

/// <summary>QEMU's fault records as the drivers decode them (F1).</summary>
public sealed class FaultRecordTests
{
    private const ulong Unmapped = Rig.Page + 0x1234_5678;

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_record_names_requester_address_direction_and_code(string name, string architecture)
    {
        bool isVtd = architecture == "intel-vtd";
        using var rig = new Rig(name, architecture);
        Domain domain = rig.NewDomain();
        Device one = rig.Add(domain, rig.Hardware.Requesters[0], 1);
        Device two = rig.Add(domain, rig.Hardware.Requesters[1], 4095);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(two, guest);
        rig.Lands(two, 4095, guest);
        Assert.Empty(rig.TakeFaults());

        rig.Faults(two, 4095, Codes.NotMapped(architecture), Unmapped);
        IommuFault mapping = Assert.Single(rig.TakeFaults());

        Assert.Equal(two.Requester, mapping.Requester);
        Assert.Equal(isVtd ? Unmapped & ~0xFFFUL : Unmapped, mapping.Address);
        Assert.True(mapping.IsWrite);
        Assert.Equal(Codes.NotMapped(architecture)[0], mapping.Code);
        Assert.NotEmpty(mapping.Reason);
        Assert.Equal(((QemuHardware)rig.Hardware).LastFault, mapping.Words);

        // 10.x knows the number; on 11.x the request has none (PP 0); the SMMUv3 model has no substreams.
        bool knows = (rig.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0;
        Assert.Equal(isVtd && knows ? new Pasid(4095) : null, mapping.Pasid);
        Assert.Empty(rig.TakeFaults());

        rig.Faults(one, 1, Codes.NoEntry(architecture));
        IommuFault entry = Assert.Single(rig.TakeFaults());
        Assert.Equal(one.Requester, entry.Requester);
        Assert.Null(entry.Pasid);
        Assert.Contains(entry.Code, Codes.NoEntry(architecture));
        Assert.Equal(isVtd && knows, rig.Hardware.NamesPasid(one.Requester, new Pasid(1)));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Of_many_accesses_the_driver_finds_the_last_record_and_nothing_is_lost_afterwards(
        string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 1);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(device, guest);

        // More often than a queue has places, so that positions go round.
        for (int round = 0; round < 150; round++)
        {
            ulong address = Unmapped + ((ulong)round << 12);
            rig.Faults(device, 1, Codes.NotMapped(architecture), address);
            rig.Faults(device, 1, Codes.NotMapped(architecture), address + 0x10_0000);
            IommuFault last = Assert.Single(rig.TakeFaults());
            Assert.Equal((address + 0x10_0000) & ~0xFFFUL, last.Address & ~0xFFFUL);
        }
    }
}
