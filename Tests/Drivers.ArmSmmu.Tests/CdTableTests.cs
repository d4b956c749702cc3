using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Drivers.ArmSmmu.Tests.Support;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class CdTableTests
{
    private const ulong Root = 0x8_9000_0000;

    private readonly RecordingMemory _memory = new();
    private readonly RecordingSync _sync;

    public CdTableTests() => _sync = new RecordingSync(_memory);

    public static TheoryData<int> Widths => [.. Enumerable.Range(1, 20)];

    [Fact]
    public void A_process_gets_the_descriptor_of_the_vector_and_nothing_else()
    {
        using CdTable table = Create(16);

        Assert.True(table.Set(new Pasid(0x1234), new PasidTableEntry(Root, 0x2a)).IsOk);

        Assert.Equal(Vector.Of("cd/process").Padded(8), Entry(table, 0x1234));
        Assert.True(DecodedCd.IsClean(Entry(table, 0x1234)));
        Assert.Equal(
            new DecodedCd(
                true, 16, 0, 1, 1, 3, false, true, 5, true, false, true, true, true, 0x2a, Root, 0x04ff44),
            DecodedCd.From(Entry(table, 0x1234)));
    }

    [Fact]
    public void Attach_parameters_name_shape_pointer_and_the_words_of_a_stream_table_entry()
    {
        using CdTable wide = Create(20);
        Assert.Equal(0x8_4000_0000UL, wide.AttachParameters["S1ContextPtr"]);
        Assert.Equal(2UL, wide.AttachParameters["S1Fmt"]);
        Assert.Equal(20UL, wide.AttachParameters["S1CDMax"]);
        Assert.Equal(2UL, wide.AttachParameters["S1DSS"]);
        Assert.Equal(Vector.Of("ste/stage1-64k-leaf").Words[0], wide.AttachParameters["STE0"]);

        // The vector has EATS = 1, which only the device's driver can decide.
        Assert.Equal(Vector.Of("ste/stage1-64k-leaf").Words[1] & ~(3UL << 28), wide.AttachParameters["STE1"]);

        var memory = new RecordingMemory();
        using CdTable narrow = CdTable.Create(memory, 10, new RecordingSync(memory), CdSettings.Default).Value!;
        Assert.Equal(Vector.Of("ste/stage1-linear").Words[0], narrow.AttachParameters["STE0"]);
        Assert.Equal(Vector.Of("ste/stage1-linear").Words[1], narrow.AttachParameters["STE1"]);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Every_width_has_its_shape_size_and_alignment(int bits)
    {
        // An odd page in front, so that alignment does not come by itself.
        ulong odd = _memory.AllocatePages(4096).Value;
        using CdTable table = Create(bits);
        bool linear = bits <= 10;
        long bytes = linear ? 64L << bits : 8L << (bits - 10);

        Assert.Equal(0UL, table.Root % (ulong)bytes);
        Assert.Equal(Math.Max(4096, bytes), table.TableBytes);
        Assert.Equal(0, table.Leaves);
        Assert.Equal(linear ? 0UL : 2UL, table.AttachParameters["S1Fmt"]);

        Assert.True(table.Set(new Pasid((1u << bits) - 1), new PasidTableEntry(Root, 1)).IsOk);

        Assert.Equal(linear ? 0 : 1, table.Leaves);
        Assert.Equal(Math.Max(4096, bytes) + (linear ? 0 : 65536), table.TableBytes);
        Assert.Equal(table.TableBytes + 4096, _memory.AllocatedBytes);
        _memory.FreePages(odd, 4096);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void D7_the_last_PASID_of_the_width_is_accepted_and_the_next_refused(int bits)
    {
        using CdTable table = Create(bits);
        uint last = (1u << bits) - 1;

        Assert.True(table.Set(new Pasid(last), new PasidTableEntry(Root, 1)).IsOk);
        if (bits < 20)
        {
            _memory.Steps.Clear();
            Assert.Equal(Errno.EINVAL, table.Set(new Pasid(last + 1), new PasidTableEntry(Root, 1)).Errno);
            Assert.Equal(Errno.EINVAL, table.Quiet(new Pasid(last + 1)).Errno);
            Assert.Equal(Errno.EINVAL, table.Clear(new Pasid(last + 1)).Errno);
            Assert.Empty(_memory.Steps);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(21)]
    [InlineData(-1)]
    public void A_width_that_does_not_exist_is_refused(int bits)
    {
        Assert.Equal(Errno.EINVAL, CdTable.Create(_memory, bits, _sync, CdSettings.Default).Errno);
        Assert.Equal(0, _memory.AllocatedBytes);
    }

    [Theory]
    [InlineData(0x8_9000_0010UL, 1u)]
    [InlineData(0x1_0000_0000_0000UL, 1u)]
    [InlineData(Root, 0x10000u)]
    public void What_a_descriptor_cannot_hold_is_refused_before_anything_is_stored(ulong root, uint asid)
    {
        using CdTable table = Create(16);
        _memory.Steps.Clear();

        Assert.Equal(Errno.EINVAL, table.Set(new Pasid(1), new PasidTableEntry(root, asid)).Errno);

        Assert.Empty(_memory.Steps);
        Assert.Equal(0, table.Leaves);
    }

    [Fact]
    public void D2_install_writes_the_word_with_the_valid_bit_last_with_a_flush_and_a_configuration_sync_between()
    {
        using CdTable table = Create(8);
        _memory.Steps.Clear();

        table.Set(new Pasid(5), new PasidTableEntry(Root, 1));

        ulong entry = table.Root + (5 * 64);
        Step[] steps = [.. _memory.Steps];
        int word0 = IndexOfStore(steps, entry);
        int tail = Array.FindLastIndex(steps, word0 - 1, s => s.Kind == StepKind.Store);
        Assert.Equal(
            [entry + 8, entry + 24, entry], steps.Where(s => s.Kind == StepKind.Store).Select(s => s.Address));
        StepKind[] between = [.. steps[(tail + 1)..word0].Select(s => s.Kind)];
        Assert.Equal([StepKind.Flush, StepKind.Configuration], between);
        StepKind[] after = [.. steps[(word0 + 1)..].Select(s => s.Kind)];
        Assert.Equal([StepKind.Flush, StepKind.Configuration], after);
    }

    [Fact]
    public void D2_and_D5_removal_clears_the_word_with_the_valid_bit_then_configuration_then_translations()
    {
        using CdTable table = Create(8);
        table.Set(new Pasid(5), new PasidTableEntry(Root, 0x2a));
        _memory.Steps.Clear();

        Assert.True(table.Clear(new Pasid(5)).IsOk);

        ulong entry = table.Root + (5 * 64);
        Assert.Equal(new Step(StepKind.Store, entry, 0), _memory.Steps[0]);
        Assert.Equal(
            [StepKind.Store, StepKind.Flush, StepKind.Configuration, StepKind.Translations],
            _memory.Steps.Select(s => s.Kind));
        Assert.Equal(new Step(StepKind.Translations, 5, 0x2a), _memory.Steps[3]);
        Assert.Equal(0UL, Entry(table, 5)[0]);

        // The next owner gets a whole descriptor, whatever was left in the others.
        Assert.True(table.Set(new Pasid(5), new PasidTableEntry(Root + 0x1000, 0x2b)).IsOk);
        ulong[] next = Entry(table, 5);
        Assert.True(DecodedCd.IsClean(next));
        Assert.Equal((Root + 0x1000, 0x2bu), (DecodedCd.From(next).Ttb0, DecodedCd.From(next).Asid));
    }

    [Fact]
    public void D2_whatever_step_a_walker_reads_at_it_sees_no_descriptor_or_a_whole_one()
    {
        using CdTable table = Create(20);
        ulong l1 = table.Root + (8 * (0x54321 >> 10));
        ulong[] whole = Vector.Of("cd/process").Padded(8);
        ulong[] quiet = Vector.Of("cd/quiet").Padded(8);
        var seen = new HashSet<string>();
        _memory.OnStep = _ =>
        {
            ulong pointer = _memory.Visible(l1);
            if ((pointer & 1) == 0)
            {
                seen.Add("no leaf");
                return;
            }

            ulong leaf = pointer & ~0xFFFUL;
            Assert.Equal(0UL, leaf % 65536);
            ulong[] words = _memory.VisibleWords(leaf + ((0x54321 & 0x3FF) * 64), 8);
            DecodedCd cd = DecodedCd.From(words);
            if (!cd.Valid)
            {
                seen.Add("none");
            }
            else if (cd.Epd0)
            {
                // The page table pointer is ignored with EPD0; all the rest must be the quiet descriptor.
                Assert.Equal(quiet, words.Select((w, i) => i == 1 ? 0 : w));
                seen.Add("quiet");
            }
            else
            {
                Assert.Equal(whole, words);
                seen.Add("whole");
            }
        };

        var pasid = new Pasid(0x54321);
        for (int round = 0; round < 2; round++)
        {
            Assert.True(table.Set(pasid, new PasidTableEntry(Root, 0x2a)).IsOk);
            Assert.True(table.Quiet(pasid).IsOk);
            Assert.True(table.Clear(pasid).IsOk);
        }

        _memory.OnStep = null;
        Assert.Equal(["no leaf", "none", "quiet", "whole"], seen.Order());
    }

    [Fact]
    public void D3_a_new_leaf_is_zero_for_a_walker_without_snooping_before_the_pointer_to_it_is_visible()
    {
        using CdTable table = Create(20);
        ulong l1 = table.Root + (8 * 3);
        bool seen = false;
        _memory.OnStep = _ =>
        {
            ulong pointer = _memory.Visible(l1);
            if (!seen && (pointer & 1) != 0)
            {
                // The descriptor is there at once; every other one of the leaf is zero.
                seen = true;
                ulong[] leaf = _memory.VisibleWords(pointer & ~0xFFFUL, 8192);
                Assert.True(DecodedCd.From(leaf).Valid);
                Assert.All(leaf.Skip(8), word => Assert.Equal(0UL, word));
            }
        };

        table.Set(new Pasid(3 << 10), new PasidTableEntry(Root, 1));

        _memory.OnStep = null;
        Assert.True(seen);
        Step[] path = [.. _memory.Steps.Where(s => s.Kind == StepKind.Path)];
        Assert.Equal([new Step(StepKind.Path, 3 << 10, 0)], path);
        int synced = _memory.Steps.IndexOf(path[0]);
        Assert.InRange(IndexOfStore([.. _memory.Steps], l1), 0, synced - 1);

        // One synchronisation makes path and descriptor known.
        Assert.Equal(_memory.Steps.Count - 1, synced);
    }

    [Fact]
    public void D3_a_new_table_is_zero_for_a_walker_without_snooping()
    {
        using CdTable linear = Create(6);
        Assert.All(_memory.VisibleWords(linear.Root, 512), word => Assert.Equal(0UL, word));
        using CdTable twoLevel = Create(20);
        Assert.All(_memory.VisibleWords(twoLevel.Root, 1024), word => Assert.Equal(0UL, word));
    }

    [Fact]
    public void D4_installing_over_a_valid_descriptor_is_refused_and_changes_nothing()
    {
        using CdTable table = Create(16);
        table.Set(new Pasid(7), new PasidTableEntry(Root, 1));
        ulong[] before = Entry(table, 7);
        _memory.Steps.Clear();

        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), new PasidTableEntry(Root + 4096, 2)).Errno);

        Assert.Empty(_memory.Steps);
        Assert.Equal(before, Entry(table, 7));

        // A quiet descriptor is valid, too: its PASID is not free yet.
        table.Quiet(new Pasid(7));
        Assert.Equal(Errno.EEXIST, table.Set(new Pasid(7), new PasidTableEntry(Root, 1)).Errno);
    }

    [Fact]
    public void D8_without_memory_for_a_leaf_the_first_level_and_other_descriptors_stay_as_they_are()
    {
        using CdTable table = Create(20);
        table.Set(new Pasid(1), new PasidTableEntry(Root, 1));
        ulong[] other = Entry(table, 1);
        _memory.Steps.Clear();
        _memory.FailAllocation = 1;

        OpResult refused = table.Set(new Pasid(0x400), new PasidTableEntry(Root, 2));

        Assert.Equal(Errno.ENOMEM, refused.Errno);
        Assert.Empty(_memory.Steps);
        Assert.Equal(1, table.Leaves);
        Assert.Equal(other, Entry(table, 1));

        Assert.True(table.Set(new Pasid(0x400), new PasidTableEntry(Root, 2)).IsOk);
        Assert.Equal(2, table.Leaves);
        Assert.Equal(other, Entry(table, 1));
    }

    [Fact]
    public void D12_a_quiet_descriptor_is_the_one_of_the_vector_and_is_reached_without_an_invalid_moment()
    {
        using CdTable table = Create(16);
        table.Set(new Pasid(7), new PasidTableEntry(Root, 0x2a));
        _memory.Steps.Clear();
        ulong entry = Address(table, 7);
        _memory.OnStep = _ => Assert.True(DecodedCd.From(_memory.VisibleWords(entry, 8)).Valid);

        Assert.True(table.Quiet(new Pasid(7)).IsOk);

        _memory.OnStep = null;
        // With EPD0 TTB0 is ignored, so it stays.
        ulong[] quiet = Vector.Of("cd/quiet").Padded(8);
        quiet[1] = Root;
        Assert.Equal(quiet, Entry(table, 7));
        Assert.Equal(
            [StepKind.Store, StepKind.Flush, StepKind.Configuration, StepKind.Translations],
            _memory.Steps.Select(s => s.Kind));
        Assert.Equal(entry, _memory.Steps[0].Address);

        // Its translations are gone: removing it needs the configuration only.
        _memory.OnStep = null;
        _memory.Steps.Clear();
        Assert.True(table.Clear(new Pasid(7)).IsOk);
        Assert.Equal([StepKind.Store, StepKind.Flush, StepKind.Configuration], _memory.Steps.Select(s => s.Kind));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void D12_after_a_quieting_that_was_not_confirmed_the_removal_invalidates_translations_again(int failing)
    {
        using CdTable table = Create(8);
        table.Set(new Pasid(7), new PasidTableEntry(Root, 0x2a));
        _sync.FailCall = _sync.Calls + failing;
        Assert.Equal(Errno.ETIMEDOUT, table.Quiet(new Pasid(7)).Errno);
        _memory.Steps.Clear();
        Assert.True(table.Clear(new Pasid(7)).IsOk);
        Assert.Contains(new Step(StepKind.Translations, 7, 0x2a), _memory.Steps);
    }

    [Fact]
    public void D13_leaves_stay_until_the_table_goes_and_then_all_memory_is_back()
    {
        CdTable table = Create(20);
        foreach (uint pasid in new uint[] { 1, 0x3FF, 0x400, 0xFFFFF })
        {
            Assert.True(table.Set(new Pasid(pasid), new PasidTableEntry(Root, 1)).IsOk);
        }

        Assert.Equal(3, table.Leaves);
        foreach (uint pasid in new uint[] { 1, 0x3FF, 0x400, 0xFFFFF })
        {
            Assert.True(table.Clear(new Pasid(pasid)).IsOk);
        }

        Assert.Equal(3, table.Leaves);
        Assert.Equal(8192 + (3 * 65536), table.TableBytes);
        Assert.Equal(table.TableBytes, _memory.AllocatedBytes);
        table.Dispose();
        table.Dispose();
        Assert.Equal(0, _memory.AllocatedBytes);
        Assert.Throws<ObjectDisposedException>(() => table.Set(new Pasid(1), new PasidTableEntry(Root, 1)));
    }

    [Fact]
    public void Each_allocation_that_fails_leaks_nothing()
    {
        int attempts = 0;
        bool done = false;
        while (!done)
        {
            _memory.FailAllocation = ++attempts;
            OpResult<CdTable> table = CdTable.Create(_memory, 20, _sync, CdSettings.Default);
            done = table.IsOk
                && table.Value.Set(new Pasid(1), new PasidTableEntry(Root, 1)).IsOk
                && table.Value.Set(new Pasid(0x400), new PasidTableEntry(Root, 1)).IsOk;
            table.Value?.Dispose();
            Assert.Equal(0, _memory.AllocatedBytes);
        }

        // Root and two leaves were refused in turn, the fourth round went through.
        Assert.Equal(4, attempts);
    }

    [Fact]
    public void An_entry_that_is_not_there_is_neither_quieted_nor_cleared()
    {
        using CdTable table = Create(20);
        table.Set(new Pasid(1), new PasidTableEntry(Root, 1));
        _memory.Steps.Clear();

        Assert.Equal(Errno.ENOENT, table.Clear(new Pasid(2)).Errno);
        Assert.Equal(Errno.ENOENT, table.Quiet(new Pasid(2)).Errno);
        Assert.Equal(Errno.ENOENT, table.Clear(new Pasid(0x400)).Errno);
        Assert.Empty(_memory.Steps);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(8)]
    public void A_synchronisation_that_fails_leaves_no_valid_descriptor_behind_whichever_it_is(int bits)
    {
        // The path of a new leaf; or the tail, then the valid bit. After that the install goes through.
        int calls = bits > 10 ? 1 : 2;
        for (int failing = 1; failing <= calls + 1; failing++)
        {
            var memory = new RecordingMemory();
            var sync = new RecordingSync(memory) { FailCall = failing };
            using CdTable table = CdTable.Create(memory, bits, sync, CdSettings.Default).Value!;

            OpResult result = table.Set(new Pasid(1), new PasidTableEntry(Root, 1));

            Assert.Equal(failing > calls ? Errno.None : Errno.ETIMEDOUT, result.Errno);
            var words = new ulong[8];
            Assert.True(table.TryRead(new Pasid(1), words));
            Assert.Equal(failing > calls, DecodedCd.From(words).Valid);
            Assert.Equal(failing > calls, DecodedCd.From(memory.VisibleWords(Leaf(memory, table) + 64, 8)).Valid);

            // The next attempt invalidates the path again if that was what failed.
            if (failing <= calls)
            {
                memory.Steps.Clear();
                Assert.True(table.Set(new Pasid(1), new PasidTableEntry(Root, 1)).IsOk);
                Assert.Equal(bits > 10, memory.Steps.Any(s => s.Kind == StepKind.Path));
                Assert.True(table.TryRead(new Pasid(1), words));
                Assert.True(DecodedCd.From(words).Valid);
            }
        }

        ulong Leaf(RecordingMemory memory, CdTable table) =>
            bits > 10 ? memory.Visible(table.Root) & ~0xFFFUL : table.Root;
    }

    [Fact]
    public void A_failed_synchronisation_does_not_keep_translations_from_being_invalidated_on_removal()
    {
        using CdTable table = Create(8);
        table.Set(new Pasid(5), new PasidTableEntry(Root, 0x2a));
        _memory.Steps.Clear();
        _sync.FailCall = _sync.Calls + 1;

        Assert.Equal(Errno.ETIMEDOUT, table.Clear(new Pasid(5)).Errno);

        Assert.Contains(new Step(StepKind.Translations, 5, 0x2a), _memory.Steps);
        Assert.Equal(0UL, Entry(table, 5)[0]);
    }

    [Fact]
    public void The_format_is_exported_by_its_name_and_creates_tables()
    {
        var format = new SmmuTableFormat();
        Assert.Equal("arm-smmuv3", format.Name);
        var attribute = (PasidTableFormatAttribute)Attribute.GetCustomAttribute(
            typeof(SmmuTableFormat), typeof(PasidTableFormatAttribute))!;
        Assert.Equal("arm-smmuv3", attribute.ContractName);

        using IPasidTable table = format.Create(_memory, 16, _sync).Value!;
        Assert.True(table.Set(new Pasid(9), new PasidTableEntry(Root, 0x2a)).IsOk);
        Assert.Equal(16, table.PasidBits);
        Assert.Equal(Errno.EINVAL, format.Create(_memory, 21, _sync).Errno);
        _memory.FailAllocation = 1;
        Assert.Equal(Errno.ENOMEM, format.Create(_memory, 16, _sync).Errno);
    }

    private static int IndexOfStore(Step[] steps, ulong address)
    {
        int index = Array.FindIndex(steps, s => s.Kind == StepKind.Store && s.Address == address);
        Assert.True(index >= 0, $"nothing was stored at 0x{address:x}");
        return index;
    }

    private CdTable Create(int bits) => CdTable.Create(_memory, bits, _sync, CdSettings.Default).Value!;

    // The walk by hand, on what is visible.
    private ulong Address(CdTable table, uint pasid) => table.PasidBits <= 10
        ? table.Root + (pasid * 64UL)
        : (_memory.Visible(table.Root + ((pasid >> 10) * 8UL)) & 0x00FF_FFFF_FFFF_F000) + ((pasid & 0x3FF) * 64UL);

    private ulong[] Entry(CdTable table, uint pasid) => _memory.VisibleWords(Address(table, pasid), 8);
}
