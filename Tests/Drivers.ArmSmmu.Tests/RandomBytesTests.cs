// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>Tests that measure the memory of the whole process run alone.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>Decoding random bytes: no exception, no hang, bounded memory. Seeds are fixed and in the message.</summary>
[Collection(nameof(Alone))]
public sealed class RandomBytesTests(ITestOutputHelper output)
{
    private static readonly int s_structures = Effort.Of(10_000_000);
    private static readonly int s_images = Effort.Of(100_000);
    private const int Workers = 2;

    [Fact]
    public void Random_structures_decode()
    {
        long violations = 0;
        long clean = 0;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        Parallel.For(0, Workers, worker =>
        {
            int seed = 20260 + worker;
            var random = new Random(seed);
            Layout[] layouts = [.. ArmSmmuLayouts.All];
            LayoutField[][] all = [.. layouts.Select(l => l.Fields.ToArray())];
            Span<ulong> words = stackalloc ulong[8];
            long found = 0;
            long whole = 0;
            for (int i = 0; i < s_structures / Workers; i++)
            {
                int which = i % layouts.Length;
                Layout layout = layouts[which];
                Span<ulong> structure = words[..layout.Words];
                try
                {
                    Fill(random, layout, all[which], structure, shape: i / layouts.Length % 3);
                    foreach (LayoutField field in all[which])
                    {
                        ulong value = field.Get(structure);
                        if (value > field.Maximum && field.Kind is not (FieldKind.Reserved or FieldKind.Ignored))
                        {
                            Assert.Fail($"{layout.Id}: {field.Mnemonic} is 0x{value:x}, more than its maximum");
                        }
                    }

                    int wrong = layout.Check(structure).Count;
                    found += wrong;
                    whole += wrong == 0 ? 1 : 0;
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"seed {seed}, structure {i}: {layout.Id}", e);
                }
            }

            Interlocked.Add(ref violations, found);
            Interlocked.Add(ref clean, whole);
        });

        // Both sides of the check are met often.
        Assert.True(violations > s_structures, $"only {violations} violations");
        Assert.True(clean > s_structures / 20, $"only {clean} structures without one");
        Assert.True(GC.GetTotalMemory(forceFullCollection: true) - before < 8 << 20, "memory was retained");
    }

    [Fact]
    public void Random_images_are_listed_and_walked()
    {
        long paged = 0;
        long translated = 0;
        long pasids = 0;
        long findings = 0;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        Parallel.For(0, Workers, worker =>
        {
            var image = new Image();
            for (int i = worker; i < s_images; i += Workers)
            {
                try
                {
                    image.Fill(i);
                    image.Read();
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"image of seed {i}", e);
                }
            }

            Interlocked.Add(ref paged, image.Paged);
            Interlocked.Add(ref translated, image.Translated);
            Interlocked.Add(ref pasids, image.Pasids);
            Interlocked.Add(ref findings, image.Findings);
        });

        // The images are worth reading: of four walks each, many reach page tables and some memory; entries are found,
        // and much is wrong.
        output.WriteLine(
            $"{paged} walks read page tables, {translated} translated; {pasids} PASIDs, {findings} findings");
        Assert.True(paged > s_images / 3, $"only {paged} walks read page tables");
        Assert.True(translated > s_images / 40, $"only {translated} walks translated");
        Assert.True(pasids > s_images / 2, $"only {pasids} PASIDs");
        Assert.True(findings > s_images / 2, $"only {findings} findings");
        Assert.True(GC.GetTotalMemory(forceFullCollection: true) - before < 8 << 20, "memory was retained");
    }

    // All bits random; few bits set; what the structure means random and the rest as it must be, but for one bit.
    private static void Fill(Random random, Layout layout, LayoutField[] fields, Span<ulong> words, int shape)
    {
        for (int word = 0; word < words.Length; word++)
        {
            ulong value = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
            words[word] = shape == 1
                ? value & (ulong)random.NextInt64() & (ulong)random.NextInt64() & (ulong)random.NextInt64()
                : value;
        }

        // Bits beyond the structure are not its own.
        if ((layout.Bits & 63) != 0)
        {
            words[^1] &= (1UL << (layout.Bits & 63)) - 1;
        }

        if (shape == 2)
        {
            foreach (LayoutField field in fields)
            {
                if (field.Kind is FieldKind.Reserved or FieldKind.Constant)
                {
                    field.Set(words, field.Kind == FieldKind.Constant ? field.Constant : 0);
                }
            }

            int bit = random.Next(layout.Bits);
            words[bit >> 6] ^= 1UL << (bit & 63);
        }
    }

    /// <summary>16 pages whose words are often pointers into them.</summary>
    private sealed class Image
    {
        private const int Pages = 16;
        private const int MaxItems = 100;
        private const ulong Base = 0x4000_0000;
        private readonly byte[] _bytes = new byte[Pages * 4096];
        private readonly MemoryImage _memory = new();
        private readonly List<(RequesterId Requester, Pasid? Pasid)> _found = [];
        private Random _random = new(0);
        private ulong _table;
        private ulong _configuration;
        public Image() => _memory.Add(Base, _bytes);

        public void Fill(int seed)
        {
            _random = new Random(seed);
            _bytes.AsSpan().Clear();
            bool isTwoLevel = _random.Next(2) == 0;
            _table = Base;
            _configuration = isTwoLevel ? 0x10000UL | (6UL << 6) | (uint)_random.Next(4, 14)
                : (ulong)(uint)_random.Next(0, 8);
            int density = _random.Next(1, 12);
            for (int page = 0; page < Pages; page++)
            {
                // Most pages are of a kind that walks read: streams, descriptors, page tables.
                int kind = page switch
                {
                    < 3 => 1,
                    < 7 => 2,
                    < 13 => 5,
                    _ => _random.Next(7),
                };
                for (int at = 0; at < 4096; at += 64)
                {
                    if (_random.Next(16) > density && at != 0)
                    {
                        continue;
                    }

                    Line(page * 4096 + at, page == 0 ? (isTwoLevel ? 0 : 1) : kind);
                }
            }
        }

        public long Paged { get; private set; }
        public long Translated { get; private set; }
        public long Pasids { get; private set; }
        public long Findings { get; private set; }

        public void Read()
        {
            OpResult<ITableView> view = new SmmuTableReader().Open(_memory, new Dictionary<string, ulong>
            {
                ["STRTAB_BASE"] = _table,
                ["STRTAB_BASE_CFG"] = _configuration,
            });
            Assert.True(view.IsOk, view.ToString());
            int items = 0;
            _found.Clear();
            foreach (TableItem item in view.Value.Items(MaxItems))
            {
                items++;
                Findings += item.Kind == TableItemKind.Finding ? 1 : 0;
                Pasids += item.Kind == TableItemKind.Pasid ? 1 : 0;
                if (item.Kind is TableItemKind.Pasid or TableItemKind.Device)
                {
                    _found.Add((item.Requester!.Value, item.Pasid));
                }
            }

            Assert.InRange(items, 0, MaxItems + 1);
            for (int i = 0; i < 4; i++)
            {
                (RequesterId requester, Pasid? pasid) = _found.Count == 0 ? default
                    : _found[_random.Next(_found.Count)];
                ulong address = (ulong)_random.NextInt64(i switch
                {
                    0 => long.MaxValue,
                    1 => 1L << 25,
                    _ => 1L << 15,
                });
                TableWalk walk = view.Value.Walk(new DmaAccess(requester, pasid, address, IsWrite: i == 0));
                Assert.InRange(walk.Steps.Count, 0, 40);
                Paged += walk.Steps.Any(s => s.Structure.Contains("_pte", StringComparison.Ordinal)) ? 1 : 0;
                Translated += walk.Result.Status == TranslationStatus.Translated ? 1 : 0;
            }
        }

        private ulong Pointer() => Base + ((ulong)(uint)_random.Next(_random.Next(8) == 0 ? Pages * 2 : Pages) << 12);

        private void Put(int at, ulong value) =>
            BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan(at), _random.Next(40) == 0
                ? value ^ (1UL << _random.Next(64)) : value);

        private void Line(int at, int kind)
        {
            switch (kind)
            {
                case 0:
                    for (int i = 0; i < 64; i += 8)
                    {
                        Put(at + i, Pointer() | (ulong)(uint)_random.Next(9));
                    }

                    break;
                case 1:
                    ulong config = (ulong)(uint)_random.Next(3, 8);
                    Put(at, 1 | (config << 1) | Pointer() | ((ulong)(uint)_random.Next(2) << 4) | (
                        (ulong)(uint)_random.Next(7) << 59));
                    Put(at + 8, 0xD4UL | (uint)_random.Next(3));
                    Put(at + 16, (25UL << 32) | (1UL << 38) | (5UL << 48) | (1UL << 51) | (1UL << 58));
                    Put(at + 24, Pointer());
                    break;
                case 2 or 3:
                    Put(at, 0x0000_6205_C000_3510 & ~(1UL << 15) | (uint)_random.Next(16, 40) | (
                        (ulong)(uint)_random.Next(1 << 16) << 48));
                    Put(at + 8, Pointer());
                    break;
                case 4:
                    for (int i = 0; i < 64; i += 8)
                    {
                        Put(at + i, Pointer() | 1);
                    }

                    break;
                case 5:
                    for (int i = 0; i < 64; i += 8)
                    {
                        Put(at + i, Pointer() | (_random.Next(8) == 0 ? 0x4C1UL : 0x7C3));
                    }

                    break;
                default:
                    _random.NextBytes(_bytes.AsSpan(at, 64));
                    break;
            }
        }
    }
}
