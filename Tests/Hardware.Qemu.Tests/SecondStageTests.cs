// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Vtd;

namespace PasidFramework.Qemu.Tests;

/// <summary>
/// VT-d with second-stage translation, which QEMU offers instead of the first stage, never beside it. The driver needs
/// the first one; the layouts of its PASID entries have both.
/// </summary>
public sealed class SecondStageTests
{
    private const uint Number = 0x1234;
    private const ulong Address = 0x12_3456_7000;
    private const ulong DomainId = 0x10;

    // D51397-018 (rev 5.10) 11.4: register offsets; 11.4.4: bits of the global command register.
    private const int GlobalCommand = 0x18;
    private const int GlobalStatus = 0x1C;
    private const int RootTable = 0x20;
    private const int QueueTail = 0x88;
    private const int QueueAddress = 0x90;

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void The_driver_refuses_a_unit_without_first_stage_and_leaves_nothing_behind(string name)
    {
        using VtdQemu hardware = VtdQemu.Start(Installed.Get(name), 3, stage: VtdStage.Second);
        long before = hardware.Ram.AllocatedBytes;

        OpResult<IIommuUnit> unit = new VtdDriver().CreateUnit(new UnitSetup { Name = "dmar0", Hardware = hardware });

        Refused(Errno.ENODEV, "ECAP.FSTS", unit);
        Assert.Equal(before, hardware.Ram.AllocatedBytes);
    }

    [Theory]
    [MemberData(nameof(Installed.Names), MemberType = typeof(Installed))]
    public void An_entry_of_the_drivers_layout_leads_through_the_second_stage(string name)
    {
        using VtdQemu hardware = VtdQemu.Start(Installed.Get(name), 3, stage: VtdStage.Second);
        IPhysicalMemory memory = hardware.Memory;
        RequesterId requester = hardware.Requesters[1];
        ulong target = hardware.AllocateTarget().Value;
        (ulong entry, ulong leaf) = BuildTables(hardware, requester, target);
        ulong queue = Enable(hardware);
        Assert.Equal(OpResult.Ok, hardware.Prepare(requester, new Pasid(Number)));
        var access = new DmaAccess(requester, new Pasid(Number), Address | 0x88, IsWrite: true);

        Assert.Equal(
            new TranslationResult(TranslationStatus.Translated, target | 0x88, 0, 0, null), hardware.Translate(access));
        TranslationResult elsewhere = hardware.Translate(access with { Address = Address + 0x1000 });
        Assert.Equal((TranslationStatus.Faulted, 0x05), (elsewhere.Status, elsewhere.FaultCode));

        // The page goes, and comes again.
        ulong mapping = memory.ReadQword(leaf);
        memory.WriteQword(leaf, 0);
        if ((hardware.Traits & TestHardwareTraits.KeepsTranslations) != 0)
        {
            Assert.Equal(target | 0x88, hardware.Translate(access).Address);
        }

        ulong[] domain = Structure.Vtd("inv_iotlb", ("G", 2), ("DID", DomainId));
        Submit(hardware, queue, domain);
        TranslationResult unmapped = hardware.Translate(access);
        Assert.Equal((TranslationStatus.Faulted, 0x05), (unmapped.Status, unmapped.FaultCode));
        memory.WriteQword(leaf, mapping);
        Assert.Equal(target | 0x88, hardware.Translate(access).Address);

        // The entry goes.
        memory.WriteQword(entry, 0);
        Submit(
            hardware, queue, Structure.Vtd("inv_pasid_cache", ("G", 1), ("DID", DomainId), ("PASID", Number)), domain);
        TranslationResult after = hardware.Translate(access);
        Assert.Equal(TranslationStatus.Faulted, after.Status);
        Assert.Contains(after.FaultCode, Codes.NoEntry("intel-vtd"));
        Assert.Equal(0u, hardware.Registers.Read32(0x34) & 0x10);
        Assert.Empty(hardware.TakeViolations());
    }

    // Returns the addresses of the PASID entry and of the page's.
    private static (ulong Entry, ulong Leaf) BuildTables(VtdQemu hardware, RequesterId requester, ulong target)
    {
        IPhysicalMemory memory = hardware.Memory;
        ulong page = target;
        ulong mapping = 0;
        for (int level = 1; level <= 4; level++)
        {
            ulong table = memory.AllocatePages(4096).Value;
            ulong index = (Address >> (12 + (9 * (level - 1)))) & 511;
            memory.Store(table + (index * 8), Structure.Vtd("ss_pte", ("R", 1), ("W", 1), ("ADDR", page)));
            mapping = level == 1 ? table + (index * 8) : mapping;
            page = table;
        }

        ulong leaf = memory.AllocatePages(4096).Value;
        ulong entry = leaf + ((Number & 63) * 64);
        memory.Store(
            entry,
            Structure.Vtd("pasid_entry", ("P", 1), ("PGTT", 2), ("AW", 2), ("DID", DomainId), ("SSPTPTR", page)));
        ulong directory = memory.AllocatePages(4096).Value;
        memory.Store(directory + ((Number >> 6) * 8), Structure.Vtd("pasid_dir_entry", ("P", 1), ("SMPTBLPTR", leaf)));
        ulong contexts = memory.AllocatePages(4096).Value;
        memory.Store(
            contexts + (requester.DevFn * 32UL),
            Structure.Vtd("sm_context_entry", ("P", 1), ("PASIDE", 1), ("PASIDDIRPTR", directory)));
        ulong root = memory.AllocatePages(4096).Value;
        memory.Store(root, Structure.Vtd("sm_root_entry", ("LP", 1), ("LCTP", contexts)));
        hardware.Registers.Write64(RootTable, Structure.Vtd("rtaddr", ("TTM", 1), ("RTA", root))[0]);
        return (entry, mapping);
    }

    // Returns the address of the invalidation queue, of 256-bit descriptors.
    private static ulong Enable(VtdQemu hardware)
    {
        const uint Translation = 1u << 31;
        const uint RootPointer = 1u << 30;
        const uint Queue = 1u << 26;
        const ulong Wide = 1UL << 11;
        ulong queue = hardware.Memory.AllocatePages(4096).Value;
        hardware.Registers.Write64(QueueAddress, queue | Wide);
        hardware.Registers.Write64(QueueTail, 0);
        foreach (uint bit in (uint[])[Queue, RootPointer, Translation])
        {
            hardware.Registers.Write32(GlobalCommand, (hardware.Registers.Read32(GlobalStatus) & ~RootPointer) | bit);
            Assert.NotEqual(0u, hardware.Registers.Read32(GlobalStatus) & bit);
        }

        return queue;
    }

    private static void Submit(VtdQemu hardware, ulong queue, params ulong[][] descriptors)
    {
        const ulong Step = 32;
        ulong tail = hardware.Registers.Read64(QueueTail);
        foreach (ulong[] descriptor in descriptors)
        {
            hardware.Memory.Store(queue + tail, descriptor);
            tail += Step;
        }

        hardware.Registers.Write64(QueueTail, tail);
        Assert.Equal(tail, hardware.Registers.Read64(0x80));
    }
}
