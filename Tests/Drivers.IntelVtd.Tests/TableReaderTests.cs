// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>Images made by hand: root at 0x1000, context table 0x2000, directory 0x3000, PASID table 0x4000.</summary>
public sealed class TableReaderTests
{
    private static readonly RequesterId s_device = new(0x0118);
    private readonly SystemMemory _memory = new(0x1_0000_0000, 1 << 20);
    private readonly ulong _base;

    public TableReaderTests()
    {
        _base = Fixture.Ok(_memory.AllocatePages(64 << 10));
        Put(At(0) + 0x10, At(1) | 1); // bus 1, lower half
        Put(At(1) + (0x18 * 32), At(2) | 9); // P, PASIDE, PDTS 0
        Put(At(2), At(3) | 1);
        Put(At(3) + (5 * 64), 0x49, 0x0080_0001, At(4) | 1); // PASID 5, first stage
        Put(At(3) + (6 * 64), At(8) | 0x89, 7); // PASID 6, second stage
        Put(At(3) + (7 * 64), At(8) | 0xC9, 8, 0x5000); // PASID 7, nested: FSPTPTR is a guest address
        Put(At(3) + (8 * 64), 0x109, 1); // PASID 8, pass-through
        Put(At(3) + (9 * 64), 2); // PASID 9, quiet
        for (int level = 0; level < 4; level++)
        {
            Put(At(4 + level) + 8, (level == 3 ? 0x1234_5000 : At(5 + level)) | 0x27); // 0x8040201000
            Put(At(8 + level), (level == 3 ? 0xABCD_E000 : At(9 + level)) | 3); // guest 0
        }

        Put(At(11) + 8, 0xABCD_1000 | 1); // guest 0x1000 is read-only
    }

    [Fact]
    public void Items_come_in_the_order_of_the_walk()
    {
        TableItem[] items = [.. Open().Items()];

        Assert.Equal(
            [
                (TableItemKind.Directory, "intel-vtd/sm_root_entry", null),
                (TableItemKind.Device, "intel-vtd/sm_context_entry", null),
                (TableItemKind.Directory, "intel-vtd/pasid_dir_entry", null),
                (TableItemKind.Pasid, "intel-vtd/pasid_entry", 5u),
                (TableItemKind.Pasid, "intel-vtd/pasid_entry", 6u),
                (TableItemKind.Pasid, "intel-vtd/pasid_entry", 7u),
                (TableItemKind.Pasid, "intel-vtd/pasid_entry", 8u),
                (TableItemKind.Pasid, "intel-vtd/pasid_entry", 9u),
            ],
            items.Select(i => (i.Kind, i.Structure, i.Pasid?.Value)));
        Assert.All(items[1..], item => Assert.Equal(s_device, item.Requester));
        Assert.Equal(At(3) + (5 * 64), items[3].Address);
        Assert.Equal([0x49UL, 0x0080_0001UL, At(4) | 1], items[3].Words.Take(3));
        Assert.Contains("quiet", items[7].Text);
    }

    [Fact]
    public void A_walk_of_the_first_stage_says_every_step()
    {
        TableWalk walk = Walk(5, 0x80_4020_1678);

        Assert.Equal(new TranslationResult(TranslationStatus.Translated, 0x1234_5678, At(4), 0, null), walk.Result);
        Assert.Equal(
            [At(0) + 0x10, At(1) + (0x18 * 32), At(2), At(3) + (5 * 64), At(4) + 8, At(5) + 8, At(6) + 8, At(7) + 8],
            walk.Steps.Select(step => step.Address));
        Assert.Equal(0x71, Walk(5, 0x80_4020_2000).Result.FaultCode);
        Assert.Equal(0x80, Walk(5, 0x8000_0000_0000).Result.FaultCode);
        Assert.Equal(0x85, WithWord(At(7) + 8, 0x1234_5025, () => Walk(5, 0x80_4020_1678, true).Result.FaultCode));
        Assert.Equal(0x81, WithWord(At(6) + 8, At(7) | 0x23, () => Walk(5, 0x80_4020_1678).Result.FaultCode));
        Assert.Equal(0x72, WithWord(At(4) + 8, At(5) | 0xA7, () => Walk(5, 0x80_4020_1678).Result.FaultCode));
        Assert.Equal(0x73, WithWord(At(3) + (5 * 64) + 16, 0x7000_0000_0001, () => Walk(5, 0).Result.FaultCode));
        Assert.Equal(0x70, WithWord(At(5) + 8, 0x7000_0000_0007, () => Walk(5, 0x80_4020_1678).Result.FaultCode));
        Assert.Equal(
            0x1234_5678UL, // a page of 2 MiB
            WithWord(At(6) + 8, 0x1220_00A7, () => Walk(5, 0x80_4034_5678).Result.Address));
    }

    [Fact]
    public void A_walk_of_the_second_stage_and_of_both()
    {
        Assert.Equal(0xABCD_E678UL, Walk(6, 0x678).Result.Address);
        Assert.Equal(0x79, Walk(6, 0x1678, true).Result.FaultCode);
        Assert.Equal(0xABCD_1678UL, Walk(6, 0x1678).Result.Address);
        Assert.Equal(0x79, Walk(6, 0x2000).Result.FaultCode);
        Assert.Equal(0x84, Walk(6, 1UL << 48).Result.FaultCode);
        Assert.Equal(0x7A, WithWord(At(8), At(9) | 0x803, () => Walk(6, 0).Result.FaultCode)); // SNP in no leaf

        // The guest's tables at guest 0x5000, 0x6000, 0x7000 and 0x9000, mapped one to one with the host's pages 12
        // to 15.
        for (int i = 0; i < 4; i++)
        {
            ulong guest = i == 3 ? 0x9000UL : 0x5000 + ((ulong)i * 0x1000);
            Put(At(11) + (guest >> 9), At(12 + i) | 3);
            Put(At(12 + i), (i switch { 0 => 0x6000UL, 1 => 0x7000, 2 => 0x9000, _ => 0x1000 }) | 7);
        }

        TableWalk nested = Walk(7, 0x678);
        Assert.Equal((TranslationStatus.Translated, 0xABCD_1678UL), (nested.Result.Status, nested.Result.Address));
        Assert.Equal(4 + (4 * 5) + 4, nested.Steps.Count);
        Assert.Equal(0x79, Walk(7, 0x678, true).Result.FaultCode);
    }

    [Fact]
    public void Walks_end_where_the_configuration_does()
    {
        Assert.Equal(TranslationStatus.Bypassed, Walk(8, 0x1234).Result.Status);
        Assert.Equal(TranslationStatus.AbortedQuietly, Walk(9, 0).Result.Status);
        Assert.Equal(0x59, Walk(10, 0).Result.FaultCode);
        Assert.Equal(0x51, Walk(64, 0).Result.FaultCode);
        Assert.Equal(0x46, Walk(0x2000, 0).Result.FaultCode);
        Assert.Equal(0x41, Open().Walk(new DmaAccess(new RequesterId(0x0119), null, 0, false)).Result.FaultCode);
        Assert.Equal(0x39, Open().Walk(new DmaAccess(new RequesterId(0x0198), null, 0, false)).Result.FaultCode);
        Assert.Equal(
            TranslationStatus.AbortedQuietly,
            Open().Walk(new DmaAccess(new RequesterId(0x1_0000), null, 0, false)).Result.Status);
    }

    [Fact]
    public void What_is_wrong_is_found_with_address_and_field_and_not_followed()
    {
        Put(At(0) + 0x20, 0x7000_0000_0001); // bus 2: no memory
        Put(At(0) + 0x30, At(0) | 1); // bus 3: a loop
        Put(At(1) + (0x19 * 32), At(3) | 9); // a directory that is a PASID table
        Put(At(2) + 8, At(2) | 1); // a table that is the directory
        Put(At(2) + 16, At(3) | 5); // reserved bit 2
        Put(At(3) + (10 * 64), 0x49, 1UL << 20 | 1, At(1) | 1); // reserved bit 84, page table is the context table

        TableItem[] findings = [.. Open().Items().Where(item => item.Kind == TableItemKind.Finding)];

        Assert.Equal(
            [
                (At(3) + (10 * 64), "RSVD[86:80]", "are 0x10,"),
                (At(3) + (10 * 64), null, "5ah"), // the line above names it
                (At(2) + 8, "SMPTBLPTR", "loop"),
                (At(2) + 16, "RSVD[11:2]", "are 0x1,"),
                (At(1) + (0x19 * 32), "PASIDDIRPTR", "PASID table"),
                (At(0) + 0x20, "LCTP", "no memory"),
                (At(0) + 0x30, "LCTP", "loop"),
            ],
            findings.Select(f => (f.Address, f.Field,
                new[] { "are 0x10,", "are 0x1,", "5ah", "loop", "PASID table", "no memory" }.First(f.Text.Contains))));
    }

    [Theory]
    [InlineData(0, 0x10, 0x0010_0000_0000_1001UL, "LCTP", "0x10000000001000 has bits above")] // word 0 of bus 1
    [InlineData(0, 0x18, 0x8000_0000_0000_1001UL, "UCTP", "0x8000000000001000 has bits above")]
    [InlineData(1, 0x18 * 32, 0x0010_0000_0000_1009UL, "PASIDDIRPTR", "42h")]
    [InlineData(1, 0x18 * 32, 0x1018UL | 1, "PRE", "43h")] // PRE without DTE
    [InlineData(1, (0x18 * 32) + 8, 0x2000UL, "RID_PASID", "43h")] // beyond 13 bits
    [InlineData(2, 0, 0x0010_0000_0000_1001UL, "SMPTBLPTR", "0x10000000001000 has bits above")]
    [InlineData(3, 5 * 64, 0x0149UL, "PGTT", "5bh"), InlineData(3, 6 * 64, 0x1081UL, "AW", "5bh")]
    [InlineData(3, (5 * 64) + 16, 0x1009UL, "FSPM", "5bh")]
    [InlineData(3, (7 * 64) + 16, 0x0001_0000_0000_0000UL, "FSPTPTR", "5bh")] // a guest address beyond AW
    [InlineData(3, (5 * 64) + 16, 0x0010_0000_0000_1001UL, "FSPTPTR", "83h")]
    [InlineData(3, 6 * 64, 0x0010_0000_0000_1089UL, "SSPTPTR", "5ah")]
    public void What_is_wrong_in_a_field_is_found_with_its_name(
        int page, int offset, ulong word, string field, string named)
    {
        Put(At(page) + (ulong)offset, word);
        ulong size = page switch { 0 => 16, 1 => 32, 2 => 8, _ => 64 };

        TableItem[] findings = [.. Open().Items().Where(item => item.Kind == TableItemKind.Finding)];

        Assert.All(findings, finding => Assert.Equal(At(page) + ((ulong)offset & ~(size - 1)), finding.Address));
        Assert.All(findings, finding => Assert.Equal(field, finding.Field));
        Assert.Contains(findings, finding => finding.Text.Contains(named, StringComparison.Ordinal));
    }

    [Fact]
    public void Fields_of_absent_capabilities_are_found_with_their_names()
    {
        Put(At(1) + (0x18 * 32), At(2) | 0xD); // DTE
        Assert.Equal((At(1) + (0x18 * 32), "DTE", "42h"), Only(Ecap.DT));
        Assert.Equal((At(3) + (5 * 64), "PWSNP", "5ah"), Only(Ecap.SMPWCS));

        (ulong, string?, string) Only(Field absent)
        {
            ITableView view = Fixture.Ok(new VtdTableReader().Open(_memory, new Dictionary<string, ulong>
            {
                ["RTADDR"] = At(0) | 0x400,
                ["ECAP"] = ~absent.WordMask,
            }));
            TableItem finding = Assert.Single(view.Items(), item => item.Kind == TableItemKind.Finding);
            return (finding.Address, finding.Field, finding.Text[..3]);
        }
    }

    [Fact]
    public void Tables_that_are_shared_without_end_are_left_after_a_while()
    {
        for (int bus = 0; bus < 256; bus++)
        {
            Put(At(0) + ((ulong)bus * 16), At(1) | 1, At(1) | 1);
        }

        ulong directory = Fixture.Ok(_memory.AllocatePages(131072)); // empty, and 128 devices on 512 halves point to it
        for (int i = 0; i < 128; i++)
        {
            Put(At(1) + ((ulong)i * 32), directory | 0xE09);
        }

        TableItem last = Open().Items(10_000).Last();

        Assert.Equal(TableItemKind.Finding, last.Kind);
        Assert.Contains("the rest was not read", last.Text);
    }

    [Theory]
    [InlineData("RTADDR", 0x1000UL, "TTM"), InlineData("RTADDR", 0x1C00UL, "TTM")]
    [InlineData("RTADDR", 0x1401UL, "reserved"), InlineData("CAP", 0UL, "RTADDR"), InlineData("TTBR", 0UL, "TTBR")]
    public void Registers_that_say_nothing_are_EINVAL(string name, ulong value, string named)
    {
        OpResult<ITableView> view = new VtdTableReader().Open(
            _memory, new Dictionary<string, ulong> { [name] = value });

        Refused(Errno.EINVAL, named, view);
    }

    private ulong At(int page) => _base + ((ulong)page * 4096);

    private void Put(ulong address, params ulong[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            _memory.WriteQword(address + ((ulong)i * 8), words[i]);
        }
    }

    private T WithWord<T>(ulong address, ulong value, Func<T> read)
    {
        ulong before = _memory.ReadQword(address);
        _memory.WriteQword(address, value);
        T result = read();
        _memory.WriteQword(address, before);
        return result;
    }

    private ITableView Open() => Fixture.Ok(new VtdTableReader().Open(
        _memory, new Dictionary<string, ulong> { ["RTADDR"] = At(0) | 0x400 }));

    private TableWalk Walk(uint pasid, ulong address, bool write = false) =>
        Open().Walk(new DmaAccess(s_device, new Pasid(pasid), address, write));
}
