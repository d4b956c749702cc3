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

    private static readonly VtdCapabilities s_capabilities = CapabilitiesOf(new Fixture());

    private readonly RecordingMemory _memory = new();
    private readonly TableCounters _counters = new();

    [Fact]
    public void A_first_stage_entry_has_the_worked_examples_words()
    {
        using PasidTableWriter table = Table(20);

        Fixture.Ok(table.Set(new Pasid(0x12345), Root));

        string[] vector = VectorFile.Read("intel-vtd.txt").Single(v => v[0] == "PASID entry, first stage");
        Assert.Equal(VectorFile.Words(vector[3], 8), Entry(_memory, table, 0x12345));
    }

    [Theory]
    [InlineData("SRS", 0x800001, 0x10abcd000)]
    [InlineData("SMPWCS", 0x1, 0x10abcd001)]
    public void A_field_of_an_absent_capability_stays_0(string without, ulong word1, ulong word2)
    {
        VtdCapabilities capabilities = CapabilitiesOf(new Fixture(Fixture.With(("without", without))));
        using PasidTableWriter table = Fixture.Ok(PasidTableWriter.Create(_memory, capabilities, _counters, 20));

        Fixture.Ok(table.Set(new Pasid(1), Root));

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
        PasidTableWriter table = Table(pasidBits);

        Assert.Equal((pdts, bytes, bytes), (table.DirectorySize, table.TableBytes, _memory.AllocatedBytes));

        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.Equal((0, 0), (_counters.Bytes, _counters.Leaves));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(20)]
    public void D7_the_last_pasid_of_the_width_is_accepted_and_the_next_refused(int pasidBits)
    {
        using PasidTableWriter table = Table(pasidBits);
        uint last = (uint)PasidRange.OfWidth(pasidBits).Last;

        Fixture.Ok(table.Set(new Pasid(last), Root));

        if (last < Pasid.MaxValue)
        {
            OpResult refused = table.Set(new Pasid(last + 1), Root);
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
        using PasidTableWriter table = Table(20);

        Assert.Equal(Errno.EINVAL, table.Set(new Pasid(1), root).Errno);
        Assert.Equal(0, table.Leaves);
    }

    [Fact]
    public void D4_an_entry_that_is_present_or_quiet_is_not_replaced()
    {
        using PasidTableWriter table = Table(20);
        Fixture.Ok(table.Set(new Pasid(7), Root));
        ulong[] before = Entry(_memory, table, 7);

        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), 0x5000).Errno);
        Assert.Equal(before, Entry(_memory, table, 7));

        Assert.True(table.Quiet(new Pasid(7)));
        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), 0x5000).Errno);
        Assert.Equal(2UL, Entry(_memory, table, 7)[0]);
    }

    [Fact]
    public void D2_on_install_P_is_stored_last_after_a_flush_and_a_barrier()
    {
        using PasidTableWriter table = Table(20);
        Fixture.Ok(table.Set(new Pasid(0x40), Root)); // its table exists from here on
        ulong entry = EntryAddress(_memory, table, 0x41);
        _memory.Events.Clear();

        Fixture.Ok(table.Set(new Pasid(0x41), Root));

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
        using PasidTableWriter table = Table(20);
        Fixture.Ok(table.Set(new Pasid(0x41), Root));
        ulong[] complete = Entry(_memory, table, 0x41);
        Assert.True(table.Clear(new Pasid(0x41)));
        table.Erase(new Pasid(0x41));
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

        Fixture.Ok(table.Set(new Pasid(0x41), Root));
        Assert.True(table.Clear(new Pasid(0x41)));
        table.Erase(new Pasid(0x41));

        Assert.True(steps > 15, $"{steps} steps were seen");
        Assert.True(presentSteps > 1, $"{presentSteps} steps had the entry present");
    }

    [Fact]
    public void D2_on_removal_P_goes_first_in_one_store_and_the_rest_only_when_erased()
    {
        using PasidTableWriter table = Table(20);
        Fixture.Ok(table.Set(new Pasid(9), Root));
        ulong entry = EntryAddress(_memory, table, 9);
        _memory.Events.Clear();

        Assert.True(table.Clear(new Pasid(9)));

        Assert.Equal(
            [new(EventKind.Store, entry, 0), new(EventKind.Flush, entry, 8)],
            _memory.Events);
        Assert.NotEqual(0UL, Entry(_memory, table, 9)[2]);

        table.Erase(new Pasid(9));
        Assert.Equal(new ulong[8], Entry(_memory, table, 9));
        Assert.Equal(0UL, Entry(_memory.Walker, table, 9)[0]); // the rest is not flushed: nobody reads it
        Assert.False(table.Clear(new Pasid(9)));
    }

    [Fact]
    public void D3_a_new_table_is_zeroed_and_flushed_before_the_directory_points_to_it()
    {
        using PasidTableWriter table = Table(20);
        _memory.Events.Clear();

        Fixture.Ok(table.Set(new Pasid(0x1000), Root));

        ulong directoryEntry = table.Directory + (0x1000 / 64 * 8);
        ulong leaf = _memory.ReadQword(directoryEntry) & ~0xFFFUL;
        Assert.Equal(
            [
                new(EventKind.Allocate, leaf, 4096),
                new(EventKind.Store, leaf + 8, 0x0080_0001),
                new(EventKind.Store, leaf + 16, Root | 1),
                new(EventKind.Store, leaf, 0x49),
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
        using PasidTableWriter table = Table(20);

        Assert.Contains(new Event(EventKind.Flush, table.Directory, 131072), _memory.Events);
        Assert.Equal(0UL, _memory.Walker.ReadQword(table.Directory + 131064));
    }

    [Fact]
    public void D8_without_memory_for_a_table_the_directory_stays_as_it_is()
    {
        using PasidTableWriter table = Table(20);
        Fixture.Ok(table.Set(new Pasid(5), Root));
        ulong[] neighbour = Entry(_memory, table, 5);
        long bytes = _memory.AllocatedBytes;
        _memory.AllocationsLeft = 0;

        OpResult refused = table.Set(new Pasid(0x12345), Root);

        Assert.Equal(Errno.ENOMEM, refused.Errno);
        Assert.Equal(0UL, _memory.ReadQword(table.Directory + (0x12345 / 64 * 8)));
        Assert.Equal(neighbour, Entry(_memory, table, 5));
        Assert.Equal((bytes, 1), (_memory.AllocatedBytes, table.Leaves));
        Fixture.Ok(table.Set(new Pasid(6), Root)); // a table that exists needs no memory
    }

    [Fact]
    public void D13_tables_are_retained_until_the_domain_goes_and_then_all_memory_returns()
    {
        PasidTableWriter table = Table(20);
        for (uint pasid = 0; pasid < 64 * 20; pasid += 64)
        {
            Fixture.Ok(table.Set(new Pasid(pasid), Root));
        }

        for (uint pasid = 0; pasid < 64 * 20; pasid += 64)
        {
            Assert.True(table.Clear(new Pasid(pasid)));
            table.Erase(new Pasid(pasid));
        }

        Assert.Equal((20, 131072 + (20 * 4096)), (table.Leaves, table.TableBytes));
        Assert.Equal((20, table.TableBytes), (_counters.Leaves, _counters.Bytes));
        Assert.Equal(0, table.Entries);
        table.Dispose();
        table.Dispose();
        Assert.Equal((0L, 0, 0L), (_memory.AllocatedBytes, _counters.Leaves, _counters.Bytes));
    }

    internal static ulong[] Entry(IPhysicalMemory memory, PasidTableWriter table, uint pasid)
    {
        ulong at = EntryAddress(memory, table, pasid);
        return [.. Enumerable.Range(0, 8).Select(i => memory.ReadQword(at + ((ulong)i * 8)))];
    }

    // The index arithmetic once more, by the specification's split of 14 and 6 bits.
    internal static ulong EntryAddress(IPhysicalMemory memory, PasidTableWriter table, uint pasid) =>
        (memory.ReadQword(table.Directory + ((pasid >> 6) * 8UL)) & ~0xFFFUL) + ((pasid & 0x3F) * 64UL);

    private static VtdCapabilities CapabilitiesOf(Fixture fixture) =>
        new(fixture.Registers.Read64(0x08), fixture.Registers.Read64(0x10));

    private PasidTableWriter Table(int pasidBits) =>
        Fixture.Ok(PasidTableWriter.Create(_memory, s_capabilities, _counters, pasidBits));
}
