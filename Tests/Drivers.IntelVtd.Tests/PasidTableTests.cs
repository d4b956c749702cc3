using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.Tables;
using PasidFramework.Drivers.IntelVtd.Unit;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.TestKit;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Tests;

public sealed class PasidTableTests
{
    private const ulong Root = 0x10abcd000;

    private static readonly PasidEntrySettings s_settings = CapabilitiesOf(new Fixture()).EntrySettings;

    private readonly RecordingMemory _memory = new();
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
    [InlineData("SRS", 0x800001, 0x10abcd000)]
    [InlineData("SMPWCS", 0x1, 0x10abcd001)]
    public void A_field_of_an_absent_capability_stays_0(string without, ulong word1, ulong word2)
    {
        VtdCapabilities capabilities = CapabilitiesOf(new Fixture(Fixture.With(("without", without))));
        using VtdTable table = Fixture.Ok(VtdTable.Create(_memory, 20, _sync, capabilities.EntrySettings));

        Fixture.Ok(table.Set(new Pasid(1), To(Root)));

        Assert.Equal([0x49, word1, word2, 0, 0, 0, 0, 0], Entry(_memory, table, 1));
    }

    [Theory]
    [InlineData(1, 0, 4096)]
    [InlineData(13, 0, 4096)]
    [InlineData(14, 1, 4096)]
    [InlineData(16, 3, 8192)]
    [InlineData(20, 7, 131072)]
    public void The_directory_is_sized_by_the_width(int pasidBits, int pdts, long bytes)
    {
        VtdTable table = Table(pasidBits);

        Assert.Equal((pdts, bytes, bytes), (table.DirectorySize, table.TableBytes, _memory.AllocatedBytes));

        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.Equal(0, table.Leaves);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(20)]
    public void D7_the_last_pasid_of_the_width_is_accepted_and_the_next_refused(int pasidBits)
    {
        using VtdTable table = Table(pasidBits);
        uint last = (uint)PasidRange.OfWidth(pasidBits).Last;

        Fixture.Ok(table.Set(new Pasid(last), To(Root)));

        if (last < Pasid.MaxValue)
        {
            OpResult refused = table.Set(new Pasid(last + 1), To(Root));
            Assert.Equal(Errno.EINVAL, refused.Errno);
            Assert.Contains($"{pasidBits} bits", refused.Reason);
            Assert.Equal(1, table.Leaves);
        }
    }

    [Theory]
    [InlineData(0x10abcd001)]
    [InlineData(0x0010_0000_0000_0000)]
    public void A_root_that_is_no_page_of_52_bits_is_refused_and_no_table_taken(ulong root)
    {
        using VtdTable table = Table(20);

        Assert.Equal(Errno.EINVAL, table.Set(new Pasid(1), To(root)).Errno);
        Assert.Equal(0, table.Leaves);
    }

    [Fact]
    public void D4_an_entry_that_is_present_or_quiet_is_not_replaced()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(7), To(Root)));
        ulong[] before = Entry(_memory, table, 7);

        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), To(0x5000)).Errno);
        Assert.Equal(before, Entry(_memory, table, 7));

        Fixture.Ok(table.Quiet(new Pasid(7)));
        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), To(0x5000)).Errno);
        Assert.Equal(2UL, Entry(_memory, table, 7)[0]);
    }

    [Fact]
    public void D2_on_install_P_is_stored_last_after_a_flush_and_a_barrier()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(0x40), To(Root))); // its table exists from here on
        ulong entry = EntryAddress(_memory, table, 0x41);
        _memory.Events.Clear();

        Fixture.Ok(table.Set(new Pasid(0x41), To(Root)));

        Event[] events = [.. _memory.Events];
        int present = Array.FindIndex(events, e => e.Kind == EventKind.Store && e.Address == entry);
        Assert.Equal(
            [entry + 8, entry + 16], // the others are 0 and stay 0
            events[..present].Where(e => e.Kind == EventKind.Store).Select(e => e.Address));
        Assert.Equal(new Event(EventKind.Flush, entry, 64), events[present - 2]);
        Assert.Equal(EventKind.Barrier, events[present - 1].Kind);
        Assert.Equal(new Event(EventKind.Flush, entry, 8), events[present + 1]);
        Assert.DoesNotContain(events[(present + 1)..], e => e.Kind == EventKind.Store);
    }

    [Fact]
    public void D2_no_intermediate_state_is_present_and_incomplete()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(0x41), To(Root)));
        ulong[] complete = Entry(_memory, table, 0x41);
        Fixture.Ok(table.Clear(new Pasid(0x41)));
        int steps = 0;
        int presentSteps = 0;
        _memory.AfterStep = () =>
        {
            foreach (IPhysicalMemory face in new[] { _memory, _memory.Walker })
            {
                steps++;
                ulong[] seen = Entry(face, table, 0x41);
                if ((seen[0] & 1) == 1)
                {
                    presentSteps++;
                    Assert.Equal(complete, seen);
                }
            }
        };

        Fixture.Ok(table.Set(new Pasid(0x41), To(Root)));
        Fixture.Ok(table.Clear(new Pasid(0x41)));

        Assert.True(steps > 15, $"{steps} steps were seen");
        Assert.True(presentSteps > 1, $"{presentSteps} steps had the entry present");
    }

    [Fact]
    public void D2_on_removal_P_goes_first_in_one_store_and_the_rest_only_after_the_invalidation()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(9), To(Root)));
        ulong entry = EntryAddress(_memory, table, 9);
        _memory.Events.Clear();
        Event[] before = [];
        _sync.OnRemoved = () => before = [.. _memory.Events];

        Fixture.Ok(table.Clear(new Pasid(9)));

        Assert.Equal([new(EventKind.Store, entry, 0), new(EventKind.Flush, entry, 8)], before);
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

    [Theory]
    [InlineData(0)]
    [InlineData(0x1_0000)]
    public void A_domain_id_that_is_0_or_too_wide_is_refused(uint domain)
    {
        using VtdTable table = Table(20);

        Assert.Equal(Errno.EINVAL, table.Set(new Pasid(1), new PasidTableEntry(Root, domain)).Errno);
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
        _memory.Events.Clear();

        Fixture.Ok(table.Set(new Pasid(0x1000), To(Root)));

        ulong directoryEntry = table.Root + (0x1000 / 64 * 8);
        ulong leaf = _memory.ReadQword(directoryEntry) & ~0xFFFUL;
        Assert.Equal(
            [
                new(EventKind.Allocate, leaf, 4096),
                new(EventKind.Store, leaf, 0x49),
                new(EventKind.Store, leaf + 8, 0x0080_0001),
                new(EventKind.Store, leaf + 16, Root | 1),
                new(EventKind.Flush, leaf, 4096),
                new(EventKind.Barrier, 0, 0),
                new(EventKind.Store, directoryEntry, leaf | 1),
                new(EventKind.Flush, directoryEntry, 8),
            ],
            _memory.Events);
    }

    [Fact]
    public void D3_the_directory_is_flushed_before_anyone_gets_its_address()
    {
        using VtdTable table = Table(20);

        Assert.Contains(new Event(EventKind.Flush, table.Root, 131072), _memory.Events);
        Assert.Equal(0UL, _memory.Walker.ReadQword(table.Root + 131064));
    }

    [Fact]
    public void D8_without_memory_for_a_table_the_directory_stays_as_it_is()
    {
        using VtdTable table = Table(20);
        Fixture.Ok(table.Set(new Pasid(5), To(Root)));
        ulong[] neighbour = Entry(_memory, table, 5);
        long bytes = _memory.AllocatedBytes;
        _memory.AllocationsLeft = 0;

        OpResult refused = table.Set(new Pasid(0x12345), To(Root));

        Assert.Equal(Errno.ENOMEM, refused.Errno);
        Assert.Equal(0UL, _memory.ReadQword(table.Root + (0x12345 / 64 * 8)));
        Assert.Equal(neighbour, Entry(_memory, table, 5));
        Assert.Equal((bytes, 1), (_memory.AllocatedBytes, table.Leaves));
        Fixture.Ok(table.Set(new Pasid(6), To(Root))); // a table that exists needs no memory
    }

    [Fact]
    public void D13_tables_are_retained_until_the_domain_goes_and_then_all_memory_returns()
    {
        VtdTable table = Table(20);
        for (uint pasid = 0; pasid < 64 * 20; pasid += 64)
        {
            Fixture.Ok(table.Set(new Pasid(pasid), To(Root)));
        }

        for (uint pasid = 0; pasid < 64 * 20; pasid += 64)
        {
            Fixture.Ok(table.Clear(new Pasid(pasid)));
        }

        Assert.Equal((20, 131072 + (20 * 4096)), (table.Leaves, table.TableBytes));
        Assert.Equal(0, table.Entries);
        table.Dispose();
        table.Dispose();
        Assert.Equal((0L, 0), (_memory.AllocatedBytes, table.Leaves));
    }

    internal static ulong[] Entry(IPhysicalMemory memory, VtdTable table, uint pasid)
    {
        ulong at = EntryAddress(memory, table, pasid);
        return [.. Enumerable.Range(0, 8).Select(i => memory.ReadQword(at + ((ulong)i * 8)))];
    }

    // The index arithmetic once more, by the specification's split of 14 and 6 bits.
    internal static ulong EntryAddress(IPhysicalMemory memory, VtdTable table, uint pasid) =>
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

    private VtdTable Table(int pasidBits) =>
        Fixture.Ok(VtdTable.Create(_memory, pasidBits, _sync, s_settings));

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
