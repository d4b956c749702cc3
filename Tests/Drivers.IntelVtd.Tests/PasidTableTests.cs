// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class PasidTableTests
{
    private const ulong Root = 0x10abcd000;
    private static readonly PasidEntrySettings s_settings = CapabilitiesOf(new Fixture()).EntrySettings;
    private readonly ObservedMemory _memory = new();
    private readonly Counting _sync = new();

    [Fact]
    public void A_first_stage_entry_has_the_worked_examples_words()
    {
        using VtdTable table = Table(20);

        Fixture.Ok(table.Set(new Pasid(0x12345), To(Root)));

        string[] vector = VectorFile.Read("intel-vtd.txt").Single(v => v[0] == "PASID entry, first stage");
        Assert.Equal(VectorFile.Words(vector[3], 8), Entry(_memory, table, 0x12345));
    }

    [Theory]
    [InlineData("SRS", 0x800001, 0x10abcd000), InlineData("SMPWCS", 0x1, 0x10abcd001)]
    public void A_field_of_an_absent_capability_stays_0(string without, ulong word1, ulong word2)
    {
        VtdCapabilities capabilities = CapabilitiesOf(new Fixture(Fixture.With(("without", without))));
        using VtdTable table = Fixture.Ok(VtdTable.Create(_memory, 20, _sync, capabilities.EntrySettings));

        Fixture.Ok(table.Set(new Pasid(1), To(Root)));

        Assert.Equal([0x49, word1, word2, 0, 0, 0, 0, 0], Entry(_memory, table, 1));
    }

    [Theory]
    [InlineData(1, 0, 4096), InlineData(13, 0, 4096), InlineData(14, 1, 4096), InlineData(16, 3, 8192)]
    [InlineData(20, 7, 131072)]
    public void The_directory_is_sized_by_the_width(int pasidBits, int pdts, long bytes)
    {
        VtdTable table = Table(pasidBits);

        Assert.Equal((pdts, bytes, bytes), (table.DirectorySize, table.TableBytes, _memory.AllocatedBytes));

        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.Equal(0, table.Leaves);
    }

    [Fact]
    public void D2_on_removal_P_goes_first_in_one_store_and_the_rest_only_after_the_invalidation()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(9), To(Root)));
        ulong entry = EntryAddress(_memory, table, 9);
        _memory.Steps.Clear();
        MemoryStep[] before = [];
        _sync.OnRemoved = () => before = [.. _memory.Steps];

        Fixture.Ok(table.Clear(new Pasid(9)));

        Assert.Equal([new(StepKind.Store, entry, 0), new(StepKind.Flush, entry, 8)], before);
        Assert.Equal(new ulong[8], Entry(_memory, table, 9));
        Assert.Equal(0UL, Entry(_memory.Walker, table, 9)[0]); // the rest is not flushed: it is not read
        Assert.Equal(Errno.ENOENT, table.Clear(new Pasid(9)).Errno);
    }

    [Fact]
    public void The_sync_is_called_once_a_change_and_not_for_translations_of_a_confirmed_quiet_entry()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(1), To(Root)));
        Fixture.Ok(table.Set(new Pasid(2), To(Root)));
        Fixture.Ok(table.Quiet(new Pasid(1)));
        Fixture.Ok(table.Clear(new Pasid(1)));
        Fixture.Ok(table.Clear(new Pasid(2)));
        Fixture.Ok(table.Set(new Pasid(1), To(Root)));
        Fixture.Ok(table.Quiet(new Pasid(1)));
        table.Doubt(new Pasid(1));
        Fixture.Ok(table.Clear(new Pasid(1)));

        Assert.Equal(
            ["path 1", "entry 2", "removed 1/1", "entry 1", "removed 2/1", "entry 1", "removed 1/1", "removed 1/1"],
            _sync.Calls);
    }

    [Fact]
    public void The_exported_format_writes_the_same_table()
    {
        OpResult<IPasidTable> made = new VtdTableFormat().Create(_memory, 20, _sync);
        using IPasidTable table = made.Value!;
        Fixture.Ok(table.Set(new Pasid(1), To(Root)));

        Assert.Equal(7UL, table.AttachParameters["PDTS"]);
        ulong leaf = _memory.ReadQword(table.AttachParameters["PASIDDIRPTR"]) & ~0xFFFUL;
        Assert.Equal([0x49, 1, Root], Enumerable.Range(0, 3)
            .Select(i => _memory.ReadQword(leaf + 64 + (ulong)(i * 8))));
        Assert.Equal(Errno.EINVAL, new VtdTableFormat().Create(_memory, 21, _sync).Errno);
    }

    [Fact]
    public void D3_a_new_table_is_zeroed_and_flushed_before_the_directory_points_to_it()
    {
        using VtdTable table = Table(20);
        _memory.Steps.Clear();

        Fixture.Ok(table.Set(new Pasid(0x1000), To(Root)));

        ulong directoryEntry = table.Root + (0x1000 / 64 * 8);
        ulong leaf = _memory.ReadQword(directoryEntry) & ~0xFFFUL;
        Assert.Equal(
            [
                new(StepKind.Allocate, leaf, 4096),
                new(StepKind.Store, leaf, 0x49),
                new(StepKind.Store, leaf + 8, 0x0080_0001),
                new(StepKind.Store, leaf + 16, Root | 1),
                new(StepKind.Flush, leaf, 4096),
                new(StepKind.Barrier, 0, 0),
                new(StepKind.Store, directoryEntry, leaf | 1),
                new(StepKind.Flush, directoryEntry, 8),
            ],
            _memory.Steps);
    }

    internal static ulong[] Entry(IDeviceMemory memory, VtdTable table, uint pasid)
    {
        ulong at = EntryAddress(memory, table, pasid);
        return [.. Enumerable.Range(0, 8).Select(i => memory.ReadQword(at + ((ulong)i * 8)))];
    }

    // The index arithmetic once more, by the specification's split of 14 and 6 bits.
    internal static ulong EntryAddress(IDeviceMemory memory, VtdTable table, uint pasid) =>
        (memory.ReadQword(table.Root + ((pasid >> 6) * 8UL)) & ~0xFFFUL) + ((pasid & 0x3F) * 64UL);

    /// <summary>Stores an entry behind the writer's back, without invalidations; its leaf exists.</summary>
    internal static void StoreUnnoticed(IPhysicalMemory memory, VtdTable table, uint pasid, ulong root)
    {
        ulong at = EntryAddress(memory, table, pasid);
        memory.WriteQword(at + 16, root | 1);
        memory.WriteQword(at + 8, 0x0080_0001);
        memory.WriteQword(at, 0x49);
    }

    private static PasidTableEntry To(ulong root) => new(root, VtdTable.DomainId);

    private static VtdCapabilities CapabilitiesOf(Fixture fixture) =>
        new(fixture.Registers.Read64(0x08), fixture.Registers.Read64(0x10));

    private VtdTable Table(int pasidBits) => Fixture.Ok(VtdTable.Create(_memory, pasidBits, _sync, s_settings));

    private sealed class Counting : IPasidTableSync
    {
        public List<string> Calls { get; } = [];
        public Action? OnRemoved { get; set; }

        public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) =>
            Called($"{(leafOnly ? "entry" : "path")} {pasid.Value}");

        public OpResult TranslationsChanged(Pasid pasid, uint archId) => Called($"translations {pasid.Value}/{archId}");

        public OpResult EntryRemoved(Pasid pasid, uint archId)
        {
            OnRemoved?.Invoke();
            return Called($"removed {pasid.Value}/{archId}");
        }

        private OpResult Called(string call)
        {
            Calls.Add(call);
            return OpResult.Ok;
        }
    }
}
