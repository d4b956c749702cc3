// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.DriverKit.Tests.PageTables;

public sealed class RadixFormatTests
{
    public static TheoryData<string, string, ulong, bool, ulong> Entries
    {
        get
        {
            var rows = new TheoryData<string, string, ulong, bool, ulong>();
            foreach (string[] line in VectorFile.Read("page-tables.txt"))
            {
                rows.Add(
                    line[0], line[1], VectorFile.Number(line[2]), line[3] == "rw",
                    ulong.Parse(line[4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            }

            return rows;
        }
    }

    public static TheoryData<string> Formats => [.. CpuPageTables.All.Select(format => format.Name)];

    [Theory]
    [MemberData(nameof(Entries))]
    public void Entries_are_those_of_the_manuals_in_memory_and_back(
        string name, string size, ulong target, bool writable, ulong expected)
    {
        RadixFormat format = Find(name);
        if (size == "table")
        {
            Assert.Equal(expected, format.MakeTable(target));
            Assert.Equal(target, format.TableOf(expected));
            Assert.Equal(EntryKind.Table, format.Classify(expected, 2));
            return;
        }

        ulong bytes = VectorFile.Number(size);
        var memory = new SystemMemory();
        using IPageTable table = format.Create(memory).Value!;

        Assert.Equal(OpResult.Ok, table.Map(bytes * 3, target, writable, bytes));

        Recorder walk = Walk(format, memory, table.Root, bytes * 3);
        Assert.Equal((expected, EntryKind.Leaf), (walk.Entry, walk.Kind));
        Assert.Equal(target, format.PageOf(expected, walk.Level));
        Assert.Equal(writable, (walk.Rights & PageRights.Write) != 0);
        Assert.Equal(bytes, format.LowBits(walk.Level) + 1);
    }

    [Fact]
    public void Every_format_has_entries_among_the_vectors_and_a_name_of_its_own()
    {
        Assert.Equal(
            CpuPageTables.All.Select(format => format.Name).Order(),
            VectorFile.Read("page-tables.txt").Select(line => line[0]).Distinct().Order());
        Assert.Equal((47, 56), (X86PageTables.FourLevel.AddressBits, X86PageTables.FiveLevel.AddressBits));
        Assert.Equal([4096UL, 1 << 21, 1 << 30], X86PageTables.FourLevel.PageSizes);
        Assert.Equal([65536UL, 1 << 29], ArmPageTables.Granule64K.PageSizes);
        Assert.Equal(52, X86PageTables.FourLevel.OutputBits);
        Assert.Equal(56, RiscVPageTables.Sv39.OutputBits);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_walk_ends_in_any_memory_and_agrees_with_the_enumeration(string name)
    {
        RadixFormat format = Find(name);
        var random = new Random(3);
        int leaves = 0;
        int users = 0;
        for (int round = 0; round < 300; round++)
        {
            var memory = new SystemMemory();
            int tables = 4;
            ulong first = memory.AllocatePages(format.TableBytes * tables, format.TableBytes).Value;
            ulong input = (ulong)random.NextInt64() & ((1UL << format.AddressBits) - 1) & ~4095UL;
            for (int level = format.Levels; level >= 1; level--)
            {
                // What any table may have at this address: noise, mostly with a pointer to a table, loops included.
                for (int table = 0; table < tables; table++)
                {
                    ulong noise = (ulong)random.NextInt64() | format.PresentBits | (uint)random.Next(8);
                    ulong target = first + (ulong)(random.Next(tables) * format.TableBytes);
                    ulong entry = (noise & ~format.AddressMask) | (target >> format.AddressShift);
                    ulong link = (entry & ~format.BlockBits) ^ format.BlockInverted;
                    entry = random.Next(4) == 0 ? noise : level > 1 ? link : entry;
                    ulong at = first + (ulong)(table * format.TableBytes) + (format.Index(input, level) * 8);
                    memory.WriteQword(at, entry);
                }
            }

            Recorder walk = Walk(format, memory, first, input);

            Assert.InRange(walk.Reads, 1, format.Levels);
            PageMapping[] found = [.. format.Mappings(memory, first, input, input)];
            bool isReached = walk.Kind == EntryKind.Leaf && (walk.Rights & PageRights.User) != 0
                && (walk.Entry & format.AccessedBits) == format.AccessedBits;
            Assert.Equal(isReached ? 1 : 0, found.Length);
            leaves += walk.Kind == EntryKind.Leaf ? 1 : 0;
            if (isReached)
            {
                users++;
                ulong page = format.PageOf(walk.Entry, walk.Level) | (input & format.LowBits(walk.Level));
                Assert.Equal(new PageMapping(input, page, (walk.Rights & PageRights.Write) != 0), found[0]);
            }
        }

        Assert.True(leaves > 10 && users > 0, $"{leaves} leaves, {users} reached");
    }

    [Fact]
    public void Tables_beside_each_other_are_selected_by_the_bits_above_the_first_index()
    {
        RadixFormat format = ArmPageTables.Stage2Granule4K;
        var memory = new SystemMemory();
        ulong top = memory.AllocatePages(2 * 4096, 8192).Value; // two tables of level 3 (Arm's level 1)
        memory.WriteQword(top + 4096 + 8, 0x4000_07FD);

        Recorder walk = Walk(format, memory, top, (513UL << 30) + 0x123, 3);

        Assert.Equal((EntryKind.Leaf, 3, 1), (walk.Kind, walk.Level, walk.Reads));
    }

    [Fact]
    public void A_walk_reads_again_and_takes_flags_and_rights_as_they_are_left()
    {
        RadixFormat format = X86PageTables.FourLevel;
        var memory = new SystemMemory();
        using IPageTable table = format.Create(memory).Value!;
        Assert.True(table.Map(0x5000, 0x6000, true).IsOk);
        var walk = new Recorder(memory, again: 3, PageRights.Read);

        PageWalker.Walk(format, table.Root, 4, 0x5000, PageRights.All, ref walk);

        Assert.Equal((7, PageRights.Read), (walk.Reads, walk.Rights));
    }

    private static RadixFormat Find(string name) => CpuPageTables.All.Single(format => format.Name == name);

    private static Recorder Walk(RadixFormat format, SystemMemory memory, ulong root, ulong input, int level = 0)
    {
        var walk = new Recorder(memory, 0, PageRights.All);
        PageWalker.Walk(format, root, level == 0 ? format.Levels : level, input, PageRights.All, ref walk);
        return walk;
    }

    private struct Recorder(SystemMemory memory, int again, PageRights kept) : IPageWalk
    {
        public int Reads { get; private set; }
        public ulong Entry { get; private set; }
        public EntryKind Kind { get; private set; }
        public int Level { get; private set; }
        public PageRights Rights { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            Reads++;
            entry = memory.IsBacked(step.Address, 8) ? memory.ReadQword(step.Address) : 0;
            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            if (again-- > 0)
            {
                return WalkNext.Again;
            }

            (Entry, Kind, Level, Rights) = (entry, kind, step.Level, rights);
            rights &= kept;
            return WalkNext.Descend;
        }
    }
}
