using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Qemu.Tests.Support;
using PasidFramework.Results;

namespace PasidFramework.Qemu.Tests;

/// <summary>The drivers' own attach, detach, exit and invalidate on QEMU's IOMMUs.</summary>
public sealed class PasidTests
{
    /// <summary>Ends and beginnings of leaves and directories; 0 is reserved.</summary>
    private static readonly uint[] s_boundaries = [1, 63, 64, 65, 4095, 0x12345, 0xF_FFFF];

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Each_number_leads_to_its_own_process_until_it_is_unbound_D1_D4(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Domain domain = rig.NewDomain();
        Device[] devices = [.. s_boundaries.Select((p, i) => rig.Add(domain, rig.Hardware.Requesters[i], p))];
        Device none = rig.Add(domain, rig.Hardware.Requesters[^1], 0);
        Guest[] guests = [.. s_boundaries.Select(_ => rig.NewGuest())];

        Assert.Contains(new Pasid(0), rig.Unit.ReservedPasids);
        Assert.Equal(Errno.ENOSPC, rig.Core.Bind(none, guests[0]).Errno);
        for (int i = 0; i < devices.Length; i++)
        {
            rig.Faults(devices[i], s_boundaries[i], Codes.NoEntry(architecture));
            Assert.Equal(s_boundaries[i], rig.Bind(devices[i], guests[i]).Value);
        }

        for (int i = 0; i < devices.Length; i++)
        {
            rig.Lands(devices[i], s_boundaries[i], guests[i], Rig.Page + 0x124);
        }

        rig.Faults(none, 0, Codes.NoEntry(architecture));
        for (int i = 0; i < devices.Length; i++)
        {
            Assert.Equal(OpResult.Ok, rig.Core.Unbind(devices[i], new Pasid(s_boundaries[i])));
            for (int j = 0; j < devices.Length; j++)
            {
                if (j <= i)
                {
                    rig.Faults(devices[j], s_boundaries[j], Codes.NoEntry(architecture));
                }
                else
                {
                    rig.Lands(devices[j], s_boundaries[j], guests[j]);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void Many_processes_on_many_devices_each_reach_their_own_memory_only(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        ulong[] pages = [0x1000, 0x20_0000, 0x4000_0000, 0x80_0000_0000, Rig.Page, 0x7FFF_FFFF_F000];
        Domain[] domains = [.. Enumerable.Range(0, 3).Select(_ => rig.NewDomain())];
        var bound = new List<(Device Device, uint Pasid, Guest Guest)>();
        for (int i = 0; i < rig.Hardware.Requesters.Count; i++)
        {
            // Neighbours in one domain, one domain's devices all over the bus; every process in two domains.
            uint pasid = 60 + (uint)(i / 2);
            Device device = rig.Add(domains[i % 3], rig.Hardware.Requesters[i], pasid);
            Guest guest = i % 2 == 0 ? rig.NewGuest(pages) : bound[^1].Guest;
            Assert.Equal(pasid, rig.Bind(device, guest).Value);
            bound.Add((device, pasid, guest));
        }

        foreach ((Device device, uint pasid, Guest guest) in bound)
        {
            foreach (ulong page in pages)
            {
                rig.Lands(device, pasid, guest, page + 0xFFC);
            }

            rig.Faults(device, pasid, Codes.NotMapped(architecture), 0x3000);
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_reused_number_never_reaches_the_old_process_A2_D5(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 77);
        const ulong Second = Rig.Page + 0x5000;

        for (int round = 0; round < 20; round++)
        {
            // What the one before had beside the common page must be gone as well.
            Guest guest = round % 2 == 0 ? rig.NewGuest(Rig.Page, Second) : rig.NewGuest(Rig.Page);
            Assert.Equal(77u, rig.Bind(device, guest).Value);
            rig.Lands(device, 77, guest);
            if (round % 2 == 0)
            {
                rig.Lands(device, 77, guest, Second);
            }
            else
            {
                rig.Faults(device, 77, Codes.NotMapped(architecture), Second);
            }

            Assert.Equal(OpResult.Ok, rig.Core.Unbind(device, new Pasid(77)));
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void After_the_process_died_nothing_is_reached_and_before_the_unbind_nothing_but_silence_or_a_record_D12(
        string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 65);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(device, guest);
        rig.Lands(device, 65, guest);
        TranslationResult dying = default;
        device.ProcessExited = (_, _, _) => dying = rig.Store(device, 65);

        guest.IsAlive = false;
        rig.Core.ProcessEnded(guest);

        Assert.Equal(
            architecture == "arm-smmuv3" ? TranslationStatus.AbortedQuietly : TranslationStatus.Faulted, dying.Status);
        rig.Faults(device, 65, Codes.NoEntry(architecture));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_remapped_page_is_reached_at_its_new_place_after_the_core_was_told(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 5);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(device, guest);
        rig.Lands(device, 5, guest);

        ulong old = guest.Map(Rig.Page);
        if ((rig.Hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0)
        {
            Assert.Equal(old, rig.Store(device, 5).Address);
        }

        Assert.Equal(OpResult.Ok, rig.Core.Invalidate(guest, Rig.Page, Rig.Page + 0x1000));
        rig.Lands(device, 5, guest);
        rig.Hardware.FreeTarget(old);

        guest.Unmap(Rig.Page);
        Assert.Equal(OpResult.Ok, rig.Core.Invalidate(guest, 0, 0));
        rig.Faults(device, 5, Codes.NotMapped(architecture));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_device_moves_to_another_domain_and_another_number(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        RequesterId requester = rig.Hardware.Requesters[2];
        Domain first = rig.NewDomain();
        Domain second = rig.NewDomain();
        Device device = rig.Add(first, requester, 10);
        Guest one = rig.NewGuest();
        Guest two = rig.NewGuest();
        _ = rig.Bind(device, one);
        rig.Lands(device, 10, one);
        Assert.Equal(Errno.EOPNOTSUPP, rig.Hardware.Prepare(requester, new Pasid(11)).Errno);
        Assert.Equal(OpResult.Ok, rig.Core.RemoveDevice(device));
        rig.Faults(device, 10, Codes.NoDevice(architecture));

        Device moved = rig.Add(second, requester, 4000);
        _ = rig.Bind(moved, two);
        rig.Lands(moved, 4000, two);
        Assert.Equal(OpResult.Ok, rig.Core.RemoveDevice(moved));
        rig.Faults(moved, 4000, Codes.NoDevice(architecture));

        // The same number again, in the domain where it was.
        Device back = rig.Add(first, requester, 10);
        rig.Faults(back, 10, Codes.NoEntry(architecture));
        _ = rig.Bind(back, one);
        rig.Lands(back, 10, one);
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_device_that_accessed_nothing_yet_may_be_prepared_for_another_number(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        RequesterId requester = rig.Hardware.Requesters[0];
        Device device = rig.Add(rig.NewDomain(), requester, new PasidRange(200, 200));
        Guest guest = rig.NewGuest();

        Assert.Equal(OpResult.Ok, rig.Hardware.Prepare(requester, new Pasid(100)));
        Assert.Equal(OpResult.Ok, rig.Hardware.Prepare(requester, new Pasid(200)));
        Assert.Equal(OpResult.Ok, rig.Hardware.Prepare(requester, new Pasid(200)));

        _ = rig.Bind(device, guest);
        rig.Lands(device, 200, guest);
        Assert.Throws<ArgumentException>(() => rig.Store(device, 100));
        Assert.Throws<ArgumentException>(
            () => rig.Hardware.Translate(new DmaAccess(requester, null, Rig.Page, IsWrite: true)));
        Assert.Throws<ArgumentException>(
            () => rig.Hardware.Translate(new DmaAccess(requester, new Pasid(200), Rig.Page, IsWrite: false)));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_record_that_nobody_took_stays_for_the_driver_and_does_not_hide_the_next_one(
        string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Domain domain = rig.NewDomain();
        Device one = rig.Add(domain, rig.Hardware.Requesters[0], 1);
        Device two = rig.Add(domain, rig.Hardware.Requesters[1], 2);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(two, guest);

        // More than a queue of events holds.
        for (int i = 0; i < 300; i++)
        {
            rig.Faults(one, 1, Codes.NoEntry(architecture));
        }

        rig.Lands(two, 2, guest);
        rig.Faults(two, 2, Codes.NotMapped(architecture), Rig.Page + 0x1234_5678);

        IReadOnlyList<ulong> record = ((QemuHardware)rig.Hardware).LastFault;
        if (architecture == "intel-vtd")
        {
            // D51397-018 11.4.14: SID 79:64, PP 95, FR 103:96, PV 123:104, F 127, FI 63:12.
            Assert.Equal((Rig.Page + 0x1234_5678) & ~0xFFFUL, record[0] & ~0xFFFUL);
            Assert.Equal(two.Requester.Value, (uint)record[1] & 0xFFFF);
            bool has = ((record[1] >> 31) & 1) != 0;
            Assert.Equal((rig.Hardware.Traits & TestHardwareTraits.KeepsTranslations) == 0 ? 0u : 2u, has ? (uint)(record[1] >> 40) & 0xF_FFFF : 0);
            Assert.Equal(1ul, rig.Hardware.Registers.Read64(0x228) >> 63);
        }
        else
        {
            // Arm IHI 0070 7.3.13: StreamID 63:32, RnW 99, InputAddr 191:128.
            Assert.Equal(two.Requester.Value, (uint)(record[0] >> 32));
            Assert.Equal(0ul, (record[1] >> 35) & 1);
            Assert.Equal(Rig.Page + 0x1234_5678, record[2]);
            Assert.Equal(rig.Hardware.Registers.Read32(0x100A8), rig.Hardware.Registers.Read32(0x100AC) + 1);
        }
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void When_the_unit_is_gone_VT_d_passes_untranslated_and_SMMUv3_aborts(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 3);
        ulong page = rig.Hardware.Memory.AllocatePages(4096).Value;
        rig.Hardware.Memory.WriteQword(page, 0x1122_3344_5566_7788);

        rig.Core.Dispose();

        TranslationResult result = rig.Store(device, 3, page);
        Assert.Equal(
            architecture == "intel-vtd"
                ? new TranslationResult(TranslationStatus.Bypassed, page, 0, 0, null)
                : new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null),
            result);
        Assert.Equal(0x1122_3344_5566_7788UL, rig.Hardware.Memory.ReadQword(page));
    }

    [Theory]
    [MemberData(nameof(Installed.WithPasids), MemberType = typeof(Installed))]
    public void A_store_into_memory_that_is_no_target_is_a_complaint(string name, string architecture)
    {
        using var rig = new Rig(name, architecture);
        Device device = rig.Add(rig.NewDomain(), rig.Hardware.Requesters[0], 3);
        Guest guest = rig.NewGuest();
        _ = rig.Bind(device, guest);
        ulong target = guest.Target(Rig.Page);
        guest.Forget(Rig.Page);

        Assert.Equal(target + 8, rig.Store(device, 3, Rig.Page + 8).Address);

        string complaint = Assert.Single(rig.Hardware.TakeComplaints());
        Assert.Contains($"0x{target + 8:x}, which is no target", complaint, StringComparison.Ordinal);
        Assert.Empty(rig.Hardware.TakeComplaints());
    }
}
