// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class CdTableTests
{
    private const ulong Root = 0x8_9000_0000;
    private readonly ObservedMemory _memory = new(0x8_4000_0000);
    private readonly ObservedSync _sync;
    public CdTableTests() => _sync = new ObservedSync(_memory);
    public static TheoryData<int> Widths => [.. Enumerable.Range(1, 20)];

    [Fact]
    public void A_process_gets_the_descriptor_of_the_vector_and_nothing_else()
    {
        using CdTable table = Create(16);

        Assert.True(table.Set(new Pasid(0x1234), new PasidTableEntry(Root, 0x2a)).IsOk);

        Assert.Equal(Vector.Of("cd/process").Padded(8), Entry(table, 0x1234));
        Assert.True(DecodedCd.IsClean(Entry(table, 0x1234)));
        Assert.Equal(
            new DecodedCd(true, 16, 0, 1, 1, 3, false, true, 5, true, false, true, true, true, 0x2a, Root, 0x04ff44),
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

        var memory = new ObservedMemory(0x8_4000_0000);
        using CdTable narrow = CdTable.Create(memory, 10, new ObservedSync(memory), CdSettings.Default).Value!;
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

    [Fact]
    public void D2_install_writes_the_word_with_the_valid_bit_last_with_a_flush_and_a_configuration_sync_between()
    {
        using CdTable table = Create(8);
        _memory.Steps.Clear();

        table.Set(new Pasid(5), new PasidTableEntry(Root, 1));

        ulong entry = table.Root + (5 * 64);
        MemoryStep[] steps = [.. _memory.Steps];
        int word0 = IndexOfStore(steps, entry);
        int tail = Array.FindLastIndex(steps, word0 - 1, s => s.Kind == StepKind.Store);
        Assert.Equal([entry + 8, entry + 24, entry], steps.Where(s => s.Kind == StepKind.Store).Select(s => s.Address));
        StepKind[] between = [.. steps[(tail + 1)..word0].Select(s => s.Kind)];
        Assert.Equal([StepKind.Flush, StepKind.Configuration], between);
        StepKind[] after = [.. steps[(word0 + 1)..].Select(s => s.Kind)];
        Assert.Equal([StepKind.Flush, StepKind.Configuration], after);
    }

    [Fact]
    public void D12_a_quiet_descriptor_is_the_one_of_the_vector_and_is_reached_without_an_invalid_moment()
    {
        using CdTable table = Create(16);
        table.Set(new Pasid(7), new PasidTableEntry(Root, 0x2a));
        _memory.Steps.Clear();
        ulong entry = Address(table, 7);
        _memory.OnStep = _ => Assert.True(DecodedCd.From(_memory.WalkerWords(entry, 8)).Valid);

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

    private static int IndexOfStore(MemoryStep[] steps, ulong address)
    {
        int index = Array.FindIndex(steps, s => s.Kind == StepKind.Store && s.Address == address);
        Assert.True(index >= 0, $"nothing was stored at 0x{address:x}");
        return index;
    }

    private CdTable Create(int bits) => CdTable.Create(_memory, bits, _sync, CdSettings.Default).Value!;

    // The walk by hand, on what is visible.
    private ulong Address(CdTable table, uint pasid) => table.PasidBits <= 10
        ? table.Root + (pasid * 64UL)
        : (_memory.Walker.ReadQword(table.Root + ((pasid >> 10) * 8UL)) & 0x00FF_FFFF_FFFF_F000)
            + ((pasid & 0x3FF) * 64UL);

    private ulong[] Entry(CdTable table, uint pasid) => _memory.WalkerWords(Address(table, pasid), 8);
}
