// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>Tables that the driver wrote, and tables that were broken by hand.</summary>
public sealed class ReaderTests
{
    private const ulong Address = 0x7f00_1234_5678;

    [Theory]
    [InlineData("16", 20), InlineData("8", 10)]
    public void D1_devices_and_their_pasids_are_listed_in_order_with_the_words_that_are_in_memory(string sidBits,
        int bits)
    {
        using var fixture = new Fixture(("sid-bits", sidBits));
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(bits).Value!;
        unit.AddStream(domain, new RequesterId(0x18), ats: true);
        unit.AddStream(domain, new RequesterId(0x99), ats: false);
        foreach (uint pasid in new uint[] { 0x3FF, 2 })
        {
            var link = new SmmuLink(unit.CreateProcess().Value!);
            Assert.True(
                domain.Attach(link, new Pasid(pasid), fixture.Memory.AllocatePages(4096).Value, first: true).IsOk);
        }

        TableItem[] items = [.. Open(fixture).Items()];

        Assert.DoesNotContain(items, i => i.Kind == TableItemKind.Finding);
        Assert.Equal(
            ["18", "18/2", "18/3ff", "99", "99/2", "99/3ff"],
            items.Where(i => i.Kind is TableItemKind.Device or TableItemKind.Pasid).Select(
                i => i.Pasid is { } p ? $"{i.Requester!.Value.Value:x}/{p.Value:x}" : $"{i.Requester!.Value.Value:x}"));
        Assert.Equal(bits > 10 ? 3 : 0, items.Count(i => i.Kind == TableItemKind.Directory));
        Assert.All(items, i => Assert.Equal(
            Enumerable.Range(0, i.Words.Count).Select(w => fixture.Memory.ReadQword(i.Address + ((ulong)w * 8))),
            i.Words));
        Assert.All(items.Where(i => i.Kind == TableItemKind.Pasid), i => Assert.Equal("arm-smmuv3/cd", i.Structure));

    }

    [Fact]
    public void A_walk_names_every_entry_on_the_way_to_the_page()
    {
        using var fixture = new Fixture();
        using SmmuUnit unit = fixture.Start();
        SmmuDomain domain = unit.CreateDomain(20).Value!;
        unit.AddStream(domain, new RequesterId(0x18), ats: true);
        using IPageTable pages = ArmPageTables.Granule4K.Create(fixture.Memory).Value!;
        Assert.True(pages.Map(Address & ~0xFFFUL, 0x12_3456_7000, writable: false).IsOk);
        domain.Attach(new SmmuLink(unit.CreateProcess().Value!), new Pasid(5), pages.Root, first: true);
        ITableView view = Open(fixture);

        TableWalk walk = view.Walk(new DmaAccess(new RequesterId(0x18), new Pasid(5), Address, IsWrite: false));

        Assert.Equal(TranslationStatus.Translated, walk.Result.Status);
        Assert.Equal(0x12_3456_7678UL, walk.Result.Address);
        Assert.Equal(pages.Root, walk.Result.PageTableRoot);
        Assert.Equal(
            [
                "arm-smmuv3/l1_stream_desc", "arm-smmuv3/ste", "arm-smmuv3/l1_cd_desc", "arm-smmuv3/cd",
                "arm-smmuv3/s1_pte", "arm-smmuv3/s1_pte", "arm-smmuv3/s1_pte", "arm-smmuv3/s1_pte",
            ],
            walk.Steps.Select(s => s.Structure));
        Assert.All(walk.Steps, s => Assert.Equal(fixture.Memory.ReadQword(s.Address), s.Words[0]));

        Assert.Equal(0x13,
            view.Walk(new DmaAccess(new RequesterId(0x18), new Pasid(5), Address, true)).Result.FaultCode);
        Assert.Equal(0x10, view.Walk(new DmaAccess(new RequesterId(0x18), new Pasid(5), 0, true)).Result.FaultCode);
        Assert.Equal(0x0A, view.Walk(new DmaAccess(new RequesterId(0x18), new Pasid(6), 0, true)).Result.FaultCode);
        Assert.Equal(0x08, view.Walk(new DmaAccess(new RequesterId(0x18), new Pasid(0x900), 0, true)).Result.FaultCode);
        Assert.Equal(0x04, view.Walk(new DmaAccess(new RequesterId(0x19), null, 0, true)).Result.FaultCode);
        Assert.Equal(0x02, view.Walk(new DmaAccess(new RequesterId(0x7F00), null, 0, true)).Result.FaultCode);
        Assert.Empty(fixture.Events());
    }

    [Fact]
    public void What_is_wrong_is_a_finding_with_address_and_field_and_is_not_followed()
    {
        var memory = new SystemMemory();
        ulong root = memory.AllocatePages(4096).Value;
        ulong leaf = memory.AllocatePages(16384, 16384).Value;
        void Put(ulong address, params ulong[] words)
        {
            for (int i = 0; i < words.Length; i++)
            {
                memory.WriteQword(address + ((ulong)i * 8), words[i]);
            }
        }

        Put(root, leaf | 9, leaf | 9, 0x7_0000_0000_0009, root | 9, leaf | 10, leaf | (1UL << 60));
        const ulong Stage1 = 1 | (5 << 1);
        Put(leaf, Stage1 | 0x7_0000_0000_0000, 0xC0);
        Put(leaf + 64, Stage1 | leaf | (1UL << 59), 2);
        Put(leaf + 128, Stage1 | (3 << 4) | (9UL << 59), 2);
        Put(leaf + 192, 1 | (4 << 1) | (1UL << 56));
        Put(leaf + 256, Stage1 | (1UL << 59) | root, 2);
        ITableView view = new SmmuTableReader().Open(memory, new Dictionary<string, ulong>
        {
            ["STRTAB_BASE"] = root,
            ["STRTAB_BASE_CFG"] = 0x00010210,
        }).Value!;

        TableItem[] items = [.. view.Items()];

        (ulong, string?)[] found =
            [.. items.Where(i => i.Kind == TableItemKind.Finding).Select(i => (i.Address, i.Field))];
        Assert.Contains((root + 8, "L2Ptr"), found);
        Assert.Contains((root + 16, "L2Ptr"), found);
        Assert.Contains((root + 24, "L2Ptr"), found);
        Assert.Contains((root + 32, "Span"), found);
        Assert.Contains((leaf, "S1ContextPtr"), found);
        Assert.Contains((leaf + 64, "S1ContextPtr"), found);
        Assert.Contains((leaf + 128, "S1Fmt"), found);
        Assert.Contains((leaf + 192, "RSVD[58:56]"), found);
        Assert.Contains((leaf + 256, "S1ContextPtr"), found);
        Assert.Equal(5, items.Count(i => i.Kind == TableItemKind.Device));
    }

    [Fact]
    public void What_lies_behind_holes_in_a_table_is_listed_until_too_much_is_missing()
    {
        const ulong Streams = 0x10_0000;
        const ulong Contexts = 0x4000_0000;
        const int Hole = TableLister.MaxMissingPages - 24;
        var memory = new MemoryImage();
        memory.Add(Streams, PageWith(1 | (5 << 1) | Contexts | (16UL << 59), 2));
        memory.Add(Contexts, PageWith());
        memory.Add(Contexts + ((Hole + 1) * 4096), PageWith(16));
        memory.Add(Contexts + ((2 * Hole + 2) * 4096), PageWith(16));
        memory.Add(Contexts + ((3 * Hole + 50) * 4096), PageWith(16));

        TableItem[] items = [.. Open(memory, Streams, 0).Items()];

        // 64 descriptors a page; the last page is behind more than may be missing.
        Assert.Equal(
            [(Hole + 1) * 64U, (2 * Hole + 2) * 64U],
            items.Where(i => i.Kind == TableItemKind.Pasid).Select(i => i.Pasid!.Value.Value));
        Assert.Equal(
            [Contexts + 4096, Contexts + ((Hole + 2) * 4096), Contexts + ((2 * Hole + 3) * 4096)],
            items.Where(i => i.Kind == TableItemKind.Finding).Select(i => i.Address));
    }

    [Fact]
    public void A_context_table_that_two_streams_see_in_different_sizes_is_a_finding()
    {
        const ulong Streams = 0x10_0000;
        const ulong Contexts = 0x4000_0000;
        byte[] streams = PageWith(1 | (5 << 1) | Contexts | (1UL << 59), 2, 0, 0, 0, 0, 0, 0,
            1 | (5 << 1) | Contexts | (2UL << 59), 2);
        var memory = new MemoryImage();
        memory.Add(Streams, streams);
        memory.Add(Contexts, PageWith(16));

        TableItem[] items = [.. Open(memory, Streams, 1).Items()];

        Assert.Equal([0U], items.Where(i => i.Kind == TableItemKind.Pasid).Select(i => i.Requester!.Value.Value));
        TableItem finding = Assert.Single(items, i => i.Kind == TableItemKind.Finding);
        Assert.Equal((Streams + 64, "S1ContextPtr", new RequesterId(1)),
            (finding.Address, finding.Field, finding.Requester));
    }

    private static byte[] PageWith(params ulong[] words)
    {
        var page = new byte[4096];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(i * 8), words[i]);
        }

        return page;
    }

    private static ITableView Open(MemoryImage memory, ulong table, uint log2Size) => new SmmuTableReader().Open(
        memory,
        new Dictionary<string, ulong> { ["STRTAB_BASE"] = table, ["STRTAB_BASE_CFG"] = log2Size }).Value!;

    [Fact]
    public void Stage_2_alone_and_below_stage_1_is_walked()
    {
        var memory = new SystemMemory();
        ulong table = memory.AllocatePages(4096).Value;
        ulong second = memory.AllocatePages(4096).Value;
        ulong context = memory.AllocatePages(4096).Value;
        ulong pages = memory.AllocatePages(4096).Value;

        // Stage 2: 1 GiB blocks from level 1 (SL0 1, T0SZ 25: 39 bits), one to one, all accesses, AF.
        for (ulong i = 0; i < 512; i++)
        {
            memory.WriteQword(second + (i * 8), (i << 30) | 0x4C1);
        }

        // Stage 1: a block of 1 GiB at 0x40000000 leads to the intermediate address 0x80000000.
        memory.WriteQword(pages + 8, 0x8000_0000 | 0xF41);
        ulong low = 1UL << 31 | 25 | (1UL << 30) | (5UL << 32) | (1UL << 41) | (1UL << 45) | (1UL << 46);
        memory.WriteQword(context, low);
        memory.WriteQword(context + 8, pages);
        ulong stage2 = 25UL << 32 | 1UL << 38 | 5UL << 48 | 1UL << 51 | 1UL << 58 | 7;
        memory.WriteQword(table, 1 | 6 << 1);
        memory.WriteQword(table + 16, stage2);
        memory.WriteQword(table + 24, second);
        memory.WriteQword(table + 64, 1 | 7 << 1 | context);
        memory.WriteQword(table + 64 + 16, stage2);
        memory.WriteQword(table + 64 + 24, second);
        ITableView view = new SmmuTableReader().Open(memory, new Dictionary<string, ulong>
        {
            ["STRTAB_BASE"] = table,
            ["STRTAB_BASE_CFG"] = 3,
        }).Value!;
        TableWalk Walk(uint sid, ulong address) => view.Walk(new DmaAccess(new RequesterId(sid), null, address, true));

        Assert.Equal((TranslationStatus.Translated, 0x1234_5678UL),
            (Walk(0, 0x1234_5678).Result.Status, Walk(0, 0x1234_5678).Result.Address));
        Assert.Equal(0x10, Walk(0, 1UL << 39).Result.FaultCode);
        TableWalk nested = Walk(1, 0x4000_5678);
        Assert.Equal((TranslationStatus.Translated, 0x8000_5678UL), (nested.Result.Status, nested.Result.Address));
        Assert.Equal(
            ["arm-smmuv3/ste", "arm-smmuv3/s2_pte", "arm-smmuv3/cd", "arm-smmuv3/s2_pte", "arm-smmuv3/s1_pte",
                "arm-smmuv3/s2_pte"],
            nested.Steps.Select(s => s.Structure));

        // Read-only for stage 2: a stage 2 permission fault.
        memory.WriteQword(second + (2 * 8), 0x8000_0000 | 0x441);
        Assert.Equal(0x13, Walk(1, 0x4000_5678).Result.FaultCode);
        memory.WriteQword(second + (2 * 8), 0x8000_0000 | 0x0C1);
        Assert.Equal(0x12, Walk(1, 0x4000_5678).Result.FaultCode);
        memory.WriteQword(second + (2 * 8), 0x8_0000_8000_0000 >> 4 | 0x4C1);
        Assert.Equal(TranslationStatus.Translated, Walk(1, 0x4000_5678).Result.Status);
    }

    [Theory]
    [InlineData("STRTAB_BASE", 0x1000UL, "STRTAB_BASE_CFG is missing")]
    [InlineData("STRTAB_BASE_CFG", 0x20000UL, "FMT is 2"), InlineData("STRTAB_BASE_CFG", 33UL, "LOG2SIZE is 33")]
    [InlineData("STRTAB_BASE_CFG", 0x10010UL, "SPLIT is 0"), InlineData("RTADDR", 0UL, "'RTADDR'")]
    public void Registers_that_say_nothing_are_EINVAL(string name, ulong value, string expected)
    {
        var registers = new Dictionary<string, ulong> { ["STRTAB_BASE"] = 0x1000 };
        if (name != "STRTAB_BASE")
        {
            registers["STRTAB_BASE_CFG"] = 0;
        }

        registers[name] = value;
        Refused(Errno.EINVAL, expected, new SmmuTableReader().Open(new MemoryImage(), registers));
    }

    private static ITableView Open(Fixture fixture) => new SmmuTableReader()
        .Open(fixture.Memory, new Dictionary<string, ulong>
    {
        ["STRTAB_BASE"] = fixture.Registers.Read64(0x80),
        ["STRTAB_BASE_CFG"] = fixture.Registers.Read32(0x88),
        ["IDR0"] = fixture.Registers.Read32(0),
        ["IDR1"] = fixture.Registers.Read32(4),
        ["IDR5"] = fixture.Registers.Read32(0x14),
    }).Value!;
}
