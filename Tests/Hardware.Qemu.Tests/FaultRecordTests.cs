// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Tests;

/// <summary>QEMU's fault records as the drivers decode them (F1).</summary>
public sealed class FaultRecordTests
{
    private const ulong Unmapped = Fixture.Page + 0x1234_5678;

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_record_names_requester_address_direction_and_code(string name, string architecture)
    {
        bool isVtd = architecture == "intel-vtd";
        using var fixture = new Fixture(name, architecture);
        Domain domain = fixture.NewDomain();
        Device one = fixture.Add(domain, fixture.Hardware.Requesters[0], 1);
        Device two = fixture.Add(domain, fixture.Hardware.Requesters[1], 4095);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(two, guest);
        fixture.Lands(two, 4095, guest);
        Assert.Empty(fixture.TakeFaults());

        fixture.Faults(two, 4095, Codes.NotMapped(architecture), Unmapped);
        IommuFault mapping = Assert.Single(fixture.TakeFaults());

        Assert.Equal(two.Requester, mapping.Requester);
        Assert.Equal(isVtd ? Unmapped & ~0xFFFUL : Unmapped, mapping.Address);
        Assert.True(mapping.IsWrite);
        Assert.Equal(Codes.NotMapped(architecture)[0], mapping.Code);
        Assert.NotEmpty(mapping.Reason);
        Assert.Equal(((QemuHardware)fixture.Hardware).LastFault, mapping.Words);

        // 10.x knows the number; on 11.x the request has none (PP 0); the SMMUv3 model has no substreams.
        bool knows = (fixture.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0;
        Assert.Equal(isVtd && knows ? new Pasid(4095) : null, mapping.Pasid);
        Assert.Empty(fixture.TakeFaults());

        fixture.Faults(one, 1, Codes.NoEntry(architecture));
        IommuFault entry = Assert.Single(fixture.TakeFaults());
        Assert.Equal(one.Requester, entry.Requester);
        Assert.Null(entry.Pasid);
        Assert.Contains(entry.Code, Codes.NoEntry(architecture));
        Assert.Equal(isVtd && knows, fixture.Hardware.NamesPasid(one.Requester, new Pasid(1)));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Of_many_accesses_the_driver_finds_the_last_record_and_nothing_is_lost_afterwards(
        string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 1);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);

        // More often than a queue has places, so that positions go round.
        for (int round = 0; round < 150; round++)
        {
            ulong address = Unmapped + ((ulong)round << 12);
            fixture.Faults(device, 1, Codes.NotMapped(architecture), address);
            fixture.Faults(device, 1, Codes.NotMapped(architecture), address + 0x10_0000);
            IommuFault last = Assert.Single(fixture.TakeFaults());
            Assert.Equal((address + 0x10_0000) & ~0xFFFUL, last.Address & ~0xFFFUL);
        }
    }
}
