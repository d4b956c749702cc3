// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.PageTables;

namespace PasidFramework.Drivers.Reference.Tests;

public sealed class TableTests
{
    [Fact]
    public void The_reader_lists_devices_directories_and_PASIDs_in_the_walks_order()
    {
        var fixture = new Fixture();
        Domain domain = fixture.Domain();
        Device nic = fixture.Device(domain, Fixture.Nic, first: 255);
        _ = fixture.Device(domain, Fixture.Gpu);
        Fixture.Ok(fixture.Core.Bind(nic, fixture.Process()));
        Fixture.Ok(fixture.Core.Bind(nic, fixture.Process()));

        TableItem[] items = [.. Open(fixture).Items()];

        TableItemKind[] one =
        [
            TableItemKind.Device, TableItemKind.Directory, TableItemKind.Pasid, TableItemKind.Directory,
            TableItemKind.Pasid,
        ];
        Assert.Equal([.. one, .. one], items.Select(i => i.Kind));
        Assert.Equal([255u, 256u, 255u, 256u], items.Where(i => i.Pasid is not null).Select(i => i.Pasid!.Value.Value));
        Assert.Equal([Fixture.Nic, Fixture.Gpu], items.Select(i => i.Requester!.Value).Distinct());
        Assert.Contains("ASID 1,", items[4].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_reader_walks_as_the_hardware_does_and_shows_every_step()
    {
        var fixture = new Fixture();
        Device nic = fixture.Device(fixture.Domain(9), Fixture.Nic);
        TestProcess process = fixture.Process();
        process.Map(0x8000, writable: false);
        Pasid pasid = Fixture.Ok(fixture.Core.Bind(nic, process));
        ITableView view = Open(fixture);
        TableWalk walk = view.Walk(new DmaAccess(Fixture.Nic, pasid, 0x8123, false));

        Assert.Equal(
            [
                "reference/device_entry", "reference/directory_entry", "reference/pasid_entry",
                "reference/page_table_entry", "reference/page_table_entry", "reference/page_table_entry",
                "reference/page_table_entry",
            ],
            walk.Steps.Select(s => s.Structure));
        Assert.Equal(process.Target | 0x123, walk.Result.Address);
        foreach (RequesterId requester in new[] { Fixture.Nic, Fixture.Gpu, new RequesterId(0x400) })
        {
            foreach (uint? value in new uint?[] { null, 0, 1, 2, 256, 511, 512 })
            {
                foreach (ulong address in new[] { Fixture.Address, 0x8000UL, 0x9000UL, 1UL << 48 })
                {
                    foreach (bool isWrite in new[] { false, true })
                    {
                        var access = new DmaAccess(requester, value is { } n ? new Pasid(n) : null, address, isWrite);
                        fixture.Model.DropCaches();
                        Assert.Equal(fixture.Translate(access), view.Walk(access).Result);
                    }
                }
            }
        }
    }

    [Fact]
    public void The_reader_names_what_is_wrong()
    {
        var memory = new SystemMemory();
        ulong table = Fixture.Ok(memory.AllocatePages(4096));
        using ReferenceTable pasids = Fixture.Ok(ReferenceTable.Create(memory, 4, new OrderingSync(memory)));
        Fixture.Ok(pasids.Set(new Pasid(1), new PasidTableEntry(0x7000, 5)));
        Fixture.Ok(pasids.Set(new Pasid(2), new PasidTableEntry(0x7000, 6)));
        Fixture.Ok(pasids.Quiet(new Pasid(2)));
        ulong leaf = memory.ReadQword(pasids.Root) & ~0xFFFUL;
        memory.WriteQword(leaf + (3 * 16), 1 | (1UL << 60));
        memory.WriteQword(leaf + (16 * 16), 1); // beyond the 4 bits
        memory.WriteQword(table, pasids.Root | (4 << 2) | 1);
        memory.WriteQword(table + 8, 0x5_0000_0000_0000 | (9 << 2) | 1);
        memory.WriteQword(table + 16, pasids.Root | (30 << 2) | 1);
        memory.WriteQword(table + 24, pasids.Root | (4 << 2));
        ITableView view = Fixture.Ok(new ReferenceTableReader().Open(
            memory, new Dictionary<string, ulong> { ["DEVICE_TABLE"] = table | 9 }));

        TableItem[] items = [.. view.Items()];

        Assert.Equal(4, items.Count(i => i.Kind == TableItemKind.Device));
        Assert.Equal([1u, 2u, 3u], items.Where(i => i.Kind == TableItemKind.Pasid).Select(i => i.Pasid!.Value.Value));
        Assert.Equal(
            [("ROOT", 0u), ("RSVD[63:52]", 0u), ("ROOT", 0u), ("TABLE", 1u), ("WIDTH", 2u)],
            items.Where(i => i.Kind == TableItemKind.Finding).Select(i => (i.Field!, i.Requester!.Value.Value)));
        Assert.Equal("quiet", items.Single(i => i.Pasid == new Pasid(2)).Text);
    }

    [Theory]
    [InlineData(new[] { "RTADDR" }, "RTADDR"), InlineData(new string[0], "DEVICE_TABLE")]
    public void A_register_that_is_unknown_or_missing_is_EINVAL(string[] names, string named)
    {
        OpResult<ITableView> view = new ReferenceTableReader().Open(
            new SystemMemory(), names.ToDictionary(n => n, _ => 0x1_0000_0001UL));

        Refused(Errno.EINVAL, named, view);
    }

    [Theory]
    [InlineData(0UL), InlineData(17UL), InlineData(0x21UL), InlineData(1UL | (1UL << 52))]
    public void A_device_table_that_cannot_be_is_EINVAL(ulong register) => Assert.Equal(
        Errno.EINVAL,
        new ReferenceTableReader().Open(
            new SystemMemory(), new Dictionary<string, ulong> { ["DEVICE_TABLE"] = register }).Errno);

    [Fact]
    public void A_list_of_nothing_ends_too()
    {
        var memory = new SystemMemory(capacityBytes: 1L << 26);
        ulong table = Fixture.Ok(memory.AllocatePages(1 << 19));
        ulong directory = Fixture.Ok(memory.AllocatePages(1 << 15));
        ulong leaf = Fixture.Ok(memory.AllocatePages(4096));
        for (ulong i = 0; i < 4096; i++)
        {
            memory.WriteQword(directory + (i * 8), leaf | 1);
        }

        for (ulong i = 0; i < 1 << 16; i++)
        {
            memory.WriteQword(table + (i * 8), directory | (20 << 2) | 1);
        }

        ITableView view = Fixture.Ok(new ReferenceTableReader().Open(
            memory, new Dictionary<string, ulong> { ["DEVICE_TABLE"] = table | 16 }));

        TableItem last = view.Items(1 << 20).Last();

        Assert.Equal(TableItemKind.Finding, last.Kind);
        Assert.Contains("the rest was not read", last.Text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(PageTableChecks))]
    public void The_page_tables_keep_the_contract(string check) =>
        PageTableSuite.Checks[check](new PageTableSuite(new ReferencePageTableFormat()));

    public static TheoryData<string> PageTableChecks => [.. PageTableSuite.Checks.Keys];

    private static ITableView Open(Fixture fixture) => Fixture.Ok(new ReferenceTableReader().Open(
        fixture.Ram,
        new Dictionary<string, ulong> { ["DEVICE_TABLE"] = fixture.Registers.Read64(Registers.DEVICE_TABLE) }));
}
