// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>Tests that measure the memory of the whole process run alone.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>Whatever memory holds: no exception, no hang, bounded memory.</summary>
[Collection(nameof(Alone))]
public sealed class DecodingTests
{
    private const ulong Base = 0x10_0000;
    private const int ImagePages = 12;

    [Theory]
    [InlineData(20_000), InlineData(10_000_000)]
    public void Any_structure_decodes(int rounds)
    {
        int count = Effort.Of(rounds);
        const ulong Seed = 0x5EED_0001;
        Layout[] layouts = [.. IntelVtdLayouts.All];
        Span<ulong> words = stackalloc ulong[8];
        ulong state = Seed;
        ulong seen = 0;
        long violations = 0;
        long before = GC.GetTotalMemory(true);
        for (int i = 0; i < count; i++)
        {
            Layout layout = layouts[i % layouts.Length];

            // Dense, sparse and nearly valid ones.
            for (int word = 0; word < layout.Words; word++)
            {
                ulong value = Next(ref state);
                words[word] = (i & 3) == 0 ? value : value & Next(ref state) & Next(ref state) & Next(ref state);
            }

            try
            {
                ReadOnlySpan<ulong> structure = words[..layout.Words];
                foreach (LayoutField field in layout.Fields)
                {
                    seen ^= field.Get(structure);
                }

                violations += layout.Check(structure).Count;
            }
#pragma warning disable CA1031 // Any exception is the failure.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Assert.Fail(Text($"seed 0x{Seed:x}, structure {i}, {layout.Id}: {e}"));
            }
        }

        Assert.True(violations > 0 && seen != 0);
        Assert.True(GC.GetTotalMemory(true) - before < 8 << 20, "memory was retained");
    }

    [Theory]
    [InlineData(3_000), InlineData(100_000)]
    public void Any_image_can_be_listed_and_walked(int rounds)
    {
        int count = Effort.Of(rounds);
        const ulong Seed = 0x5EED_0002;
        var bytes = new byte[ImagePages * 4096];
        var registers = new Dictionary<string, ulong> { ["RTADDR"] = Base | 0x400 };
        var reader = new VtdTableReader();
        ulong state = Seed;
        int deep = 0;
        int translated = 0;
        int findings = 0;
        long before = GC.GetTotalMemory(true);
        for (int i = 0; i < count; i++)
        {
            ulong imageSeed = state;
            try
            {
                RequesterId requester = Fill(bytes, ref state);
                var memory = new MemoryImage();
                memory.Add(Base, bytes);
                ITableView view = Fixture.Ok(reader.Open(memory, registers));
                int items = 0;
                foreach (TableItem item in view.Items(40))
                {
                    items++;
                    findings += item.Kind == TableItemKind.Finding ? 1 : 0;
                }

                Assert.InRange(items, 1, 41);
                for (int walk = 0; walk < 4; walk++)
                {
                    uint? pasid = walk == 0 ? null : (uint)Next(ref state) & (walk == 3 ? Pasid.MaxValue : 3);
                    ulong address = walk == 3 ? Next(ref state) : Next(ref state) & 0x7FFF;
                    TableWalk way = view.Walk(new DmaAccess(
                        requester, pasid is { } p ? new Pasid(p) : null, address, (state & 1) == 0));
                    Assert.InRange(way.Steps.Count, 1, 64);
                    deep += way.Steps.Count > 5 ? 1 : 0;
                    translated += way.Result.Status == TranslationStatus.Translated ? 1 : 0;
                }
            }
#pragma warning disable CA1031 // Any exception is the failure.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Assert.Fail(Text($"image {i}, state 0x{imageSeed:x}: {e}"));
            }
        }

        Assert.True(deep > count / 10, $"only {deep} walks reached page tables");
        Assert.True(translated > count / 50, $"only {translated} walks translated");
        Assert.True(findings > count / 10, $"only {findings} findings");
        Assert.True(GC.GetTotalMemory(true) - before < 8 << 20, "memory was retained");
    }

    // A root with two buses, then tables of any kind: few entries each, pointers mostly to other pages of the image,
    // flags mostly as a valid entry has them.
    private static RequesterId Fill(byte[] bytes, ref ulong state)
    {
        Array.Clear(bytes);
        uint devfn = (uint)Next(ref state) & 3;
        Put(bytes, 0, Pointer(ref state, 1) | 1);
        Put(bytes, 8, Noise(ref state));
        for (int page = 1; page < ImagePages; page++)
        {
            // Mostly two pages of contexts, two directories, two PASID tables, then page tables.
            int layer = Math.Min((page - 1) / 2, 3);
            int usual = layer switch { 0 => 0, 1 => 3, 2 => 1, _ => 4 };
            int kind = (Next(ref state) & 7) == 0 ? (int)(Next(ref state) % 5) : usual;
            int next = layer == 3 ? 7 : (layer * 2) + 3;
            for (int n = 0; n < 6; n++)
            {
                int slot = n < 3 ? n : (int)(Next(ref state) & 63);
                int at = (page * 4096) + (slot * 64);
                switch (kind)
                {
                    case 0: // context entries, two in 64 bytes
                        Put(bytes, at, Pointer(ref state, next) | 0xD | Noise(ref state));
                        Put(bytes, at + 32, Pointer(ref state, next) | 9);
                        break;
                    case 1: // PASID entries
                        ulong type = (Next(ref state) & 3) + 1;
                        Put(bytes, at, Pointer(ref state, next) | (type << 6) | ((1 + (Next(ref state) & 1)) << 2) | 1);
                        Put(bytes, at + 8, 1 | Noise(ref state));
                        Put(bytes, at + 16, Pointer(ref state, next));
                        break;
                    case 2: // anything
                        for (int word = 0; word < 8; word++)
                        {
                            Put(bytes, at + (word * 8), Next(ref state));
                        }

                        break;
                    default: // directory and page table entries
                        for (int word = 0; word < 8; word++)
                        {
                            ulong flags = kind == 3 ? 1UL : 0x67;
                            Put(bytes, at + (word * 8), Pointer(ref state, next) | flags | Noise(ref state));
                        }

                        break;
                }
            }
        }

        return new RequesterId(devfn);
    }

    // To one of two pages mostly, sometimes to any, seldom to nowhere.
    private static ulong Pointer(ref ulong state, int page)
    {
        ulong value = Next(ref state);
        return (value & 63) == 0 ? value & ~0xFFFUL
            : (value & 7) == 1 ? Base + ((value >> 8) % ImagePages * 4096)
            : Base + (((ulong)page + ((value >> 8) & 1)) * 4096);
    }

    private static ulong Noise(ref ulong state) => (Next(ref state) & 15) == 0 ? 1UL << (int)(Next(ref state) & 63) : 0;

    private static void Put(byte[] bytes, int at, ulong value) =>
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);

    // SplitMix64.
    private static ulong Next(ref ulong state)
    {
        ulong z = state += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
