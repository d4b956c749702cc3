// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Tests;

/// <summary>The drivers' own attach, detach, exit and invalidate on QEMU's IOMMUs.</summary>
public sealed class PasidTests
{
    /// <summary>Ends and beginnings of leaves and directories; 0 is reserved.</summary>
    private static readonly uint[] s_boundaries = [1, 63, 64, 65, 4095, 0x12345, 0xF_FFFF];

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Each_PASID_leads_to_its_own_process_until_it_is_unbound_D1_D4(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Domain domain = fixture.NewDomain();
        Device[] devices = [.. s_boundaries.Select((p, i) => fixture.Add(domain, fixture.Hardware.Requesters[i], p))];
        Device none = fixture.Add(domain, fixture.Hardware.Requesters[^1], 0);
        Guest[] guests = [.. s_boundaries.Select(_ => fixture.NewGuest())];

        Assert.Contains(new Pasid(0), fixture.Unit.ReservedPasids);
        Assert.Equal(Errno.ENOSPC, fixture.Core.Bind(none, guests[0]).Errno);
        for (int i = 0; i < devices.Length; i++)
        {
            fixture.Faults(devices[i], s_boundaries[i], Codes.NoEntry(architecture));
            Assert.Equal(s_boundaries[i], fixture.Bind(devices[i], guests[i]).Value);
        }

        for (int i = 0; i < devices.Length; i++)
        {
            fixture.Lands(devices[i], s_boundaries[i], guests[i], Fixture.Page + 0x124);
        }

        fixture.Faults(none, 0, Codes.NoEntry(architecture));
        for (int i = 0; i < devices.Length; i++)
        {
            Assert.Equal(OpResult.Ok, fixture.Core.Unbind(devices[i], new Pasid(s_boundaries[i])));
            for (int j = 0; j < devices.Length; j++)
            {
                if (j <= i)
                {
                    fixture.Faults(devices[j], s_boundaries[j], Codes.NoEntry(architecture));
                }
                else
                {
                    fixture.Lands(devices[j], s_boundaries[j], guests[j]);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Many_processes_on_many_devices_each_reach_their_own_memory_only(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        ulong[] pages = [0x1000, 0x20_0000, 0x4000_0000, 0x80_0000_0000, Fixture.Page, 0x7FFF_FFFF_F000];
        Domain[] domains = [.. Enumerable.Range(0, 3).Select(_ => fixture.NewDomain())];
        var bound = new List<(Device Device, uint Pasid, Guest Guest)>();
        for (int i = 0; i < fixture.Hardware.Requesters.Count; i++)
        {
            // Neighbours in one domain, one domain's devices all over the bus; every process in two domains.
            uint pasid = 60 + (uint)(i / 2);
            Device device = fixture.Add(domains[i % 3], fixture.Hardware.Requesters[i], pasid);
            Guest guest = i % 2 == 0 ? fixture.NewGuest(pages) : bound[^1].Guest;
            Assert.Equal(pasid, fixture.Bind(device, guest).Value);
            bound.Add((device, pasid, guest));
        }

        foreach ((Device device, uint pasid, Guest guest) in bound)
        {
            foreach (ulong page in pages)
            {
                fixture.Lands(device, pasid, guest, page + 0xFFC);
            }

            fixture.Faults(device, pasid, Codes.NotMapped(architecture), 0x3000);
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_reused_PASID_never_reaches_the_old_process_A2_D5(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 77);
        const ulong Second = Fixture.Page + 0x5000;

        for (int round = 0; round < 20; round++)
        {
            // What the one before had beside the common page must be gone as well.
            Guest guest = round % 2 == 0 ? fixture.NewGuest(Fixture.Page, Second) : fixture.NewGuest(Fixture.Page);
            Assert.Equal(77u, fixture.Bind(device, guest).Value);
            fixture.Lands(device, 77, guest);
            if (round % 2 == 0)
            {
                fixture.Lands(device, 77, guest, Second);
            }
            else
            {
                fixture.Faults(device, 77, Codes.NotMapped(architecture), Second);
            }

            Assert.Equal(OpResult.Ok, fixture.Core.Unbind(device, new Pasid(77)));
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void After_the_process_died_nothing_is_reached_and_before_the_unbind_nothing_but_silence_or_a_record_D12(
        string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 65);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);
        fixture.Lands(device, 65, guest);
        TranslationResult dying = default;
        device.ProcessExited = (_, _, _) => dying = fixture.Store(device, 65);

        guest.IsAlive = false;
        fixture.Core.ProcessEnded(guest);

        Assert.Equal(
            architecture == "arm-smmuv3" ? TranslationStatus.AbortedQuietly : TranslationStatus.Faulted, dying.Status);
        fixture.Faults(device, 65, Codes.NoEntry(architecture));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_remapped_page_is_reached_at_its_new_place_after_the_core_was_notified(string name,
        string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 5);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);
        fixture.Lands(device, 5, guest);

        ulong old = guest.Map(Fixture.Page);
        if ((fixture.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0)
        {
            Assert.Equal(old, fixture.Store(device, 5).Address);
        }

        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, Fixture.Page, Fixture.Page + 0x1000));
        fixture.Lands(device, 5, guest);
        fixture.Hardware.FreeTarget(old);

        guest.Unmap(Fixture.Page);
        Assert.Equal(OpResult.Ok, fixture.Core.Invalidate(guest, 0, 0));
        fixture.Faults(device, 5, Codes.NotMapped(architecture));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_device_moves_to_another_domain_and_another_PASID(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        RequesterId requester = fixture.Hardware.Requesters[2];
        Domain first = fixture.NewDomain();
        Domain second = fixture.NewDomain();
        Device device = fixture.Add(first, requester, 10);
        Guest one = fixture.NewGuest();
        Guest two = fixture.NewGuest();
        _ = fixture.Bind(device, one);
        fixture.Lands(device, 10, one);
        Assert.Equal(Errno.EOPNOTSUPP, fixture.Hardware.Prepare(requester, new Pasid(11)).Errno);
        Assert.Equal(OpResult.Ok, fixture.Core.RemoveDevice(device));
        fixture.Faults(device, 10, Codes.NoDevice(architecture));

        Device moved = fixture.Add(second, requester, 4000);
        _ = fixture.Bind(moved, two);
        fixture.Lands(moved, 4000, two);
        Assert.Equal(OpResult.Ok, fixture.Core.RemoveDevice(moved));
        fixture.Faults(moved, 4000, Codes.NoDevice(architecture));

        // The same number again, in the domain where it was.
        Device back = fixture.Add(first, requester, 10);
        fixture.Faults(back, 10, Codes.NoEntry(architecture));
        _ = fixture.Bind(back, one);
        fixture.Lands(back, 10, one);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_device_that_accessed_nothing_yet_may_be_prepared_for_another_PASID(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        RequesterId requester = fixture.Hardware.Requesters[0];
        Device device = fixture.Add(fixture.NewDomain(), requester, new PasidRange(200, 200));
        Guest guest = fixture.NewGuest();

        Assert.Equal(OpResult.Ok, fixture.Hardware.Prepare(requester, new Pasid(100)));
        Assert.Equal(OpResult.Ok, fixture.Hardware.Prepare(requester, new Pasid(200)));
        Assert.Equal(OpResult.Ok, fixture.Hardware.Prepare(requester, new Pasid(200)));

        _ = fixture.Bind(device, guest);
        fixture.Lands(device, 200, guest);
        Assert.Throws<ArgumentException>(() => fixture.Store(device, 100));
        Assert.Throws<ArgumentException>(
            () => fixture.Hardware.Translate(new DmaAccess(requester, null, Fixture.Page, IsWrite: true)));
        Assert.Throws<ArgumentException>(
            () => fixture.Hardware.Translate(new DmaAccess(requester, new Pasid(200), Fixture.Page, IsWrite: false)));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_record_that_was_not_taken_stays_for_the_driver_and_does_not_hide_the_next_one(
        string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Domain domain = fixture.NewDomain();
        Device one = fixture.Add(domain, fixture.Hardware.Requesters[0], 1);
        Device two = fixture.Add(domain, fixture.Hardware.Requesters[1], 2);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(two, guest);

        // More than a queue of events holds.
        for (int i = 0; i < 300; i++)
        {
            fixture.Faults(one, 1, Codes.NoEntry(architecture));
        }

        fixture.Lands(two, 2, guest);
        fixture.Faults(two, 2, Codes.NotMapped(architecture), Fixture.Page + 0x1234_5678);

        IReadOnlyList<ulong> record = ((QemuHardware)fixture.Hardware).LastFault;
        if (architecture == "intel-vtd")
        {
            // D51397-018 11.4.14: SID 79:64, PP 95, FR 103:96, PV 123:104, F 127, FI 63:12.
            Assert.Equal((Fixture.Page + 0x1234_5678) & ~0xFFFUL, record[0] & ~0xFFFUL);
            Assert.Equal(two.Requester.Value, (uint)record[1] & 0xFFFF);
            bool has = ((record[1] >> 31) & 1) != 0;
            Assert.Equal((fixture.Hardware.Traits & TestHardwareTraits.KeepsTranslations) == 0 ? 0u : 2u, has
                ? (uint)(record[1] >> 40) & 0xF_FFFF : 0);
            Assert.Equal(1ul, fixture.Hardware.Registers.Read64(0x228) >> 63);
        }
        else
        {
            // Arm IHI 0070 7.3.13: StreamID 63:32, RnW 99, InputAddr 191:128.
            Assert.Equal(two.Requester.Value, (uint)(record[0] >> 32));
            Assert.Equal(0ul, (record[1] >> 35) & 1);
            Assert.Equal(Fixture.Page + 0x1234_5678, record[2]);
            Assert.Equal(fixture.Hardware.Registers.Read32(0x100A8), fixture.Hardware.Registers.Read32(0x100AC) + 1);
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void When_the_unit_is_gone_VT_d_passes_untranslated_and_SMMUv3_aborts(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 3);
        ulong page = fixture.Hardware.Memory.AllocatePages(4096).Value;
        fixture.Hardware.Memory.WriteQword(page, 0x1122_3344_5566_7788);

        fixture.Core.Dispose();

        TranslationResult result = fixture.Store(device, 3, page);
        Assert.Equal(
            architecture == "intel-vtd"
                ? new TranslationResult(TranslationStatus.Bypassed, page, 0, 0, null)
                : new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null),
            result);
        Assert.Equal(0x1122_3344_5566_7788UL, fixture.Hardware.Memory.ReadQword(page));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_store_into_memory_that_is_no_target_is_a_complaint(string name, string architecture)
    {
        using var fixture = new Fixture(name, architecture);
        Device device = fixture.Add(fixture.NewDomain(), fixture.Hardware.Requesters[0], 3);
        Guest guest = fixture.NewGuest();
        _ = fixture.Bind(device, guest);
        ulong target = guest.Target(Fixture.Page);
        guest.Forget(Fixture.Page);

        Assert.Equal(target + 8, fixture.Store(device, 3, Fixture.Page + 8).Address);

        string violation = Assert.Single(fixture.Hardware.TakeViolations());
        Assert.Contains($"0x{target + 8:x}, which is no target", violation, StringComparison.Ordinal);
        Assert.Empty(fixture.Hardware.TakeViolations());
    }
}
