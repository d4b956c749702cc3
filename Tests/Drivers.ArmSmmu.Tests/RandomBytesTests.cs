using System.Buffers.Binary;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Drivers.ArmSmmu.Readers;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Tables;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>Decoding random bytes: no exception, no hang, bounded memory. Seeds are fixed and in the message.</summary>
public sealed class RandomBytesTests
{
    private const int Structures = 10_000_000;
    private const int Images = 100_000;
    private const int Workers = 2;

    [Fact]
    public void Ten_million_random_structures_decode()
    {
        long fields = 0;
        Parallel.For(0, Workers, worker =>
        {
            int seed = 20260 + worker;
            var random = new Random(seed);
            Span<ulong> words = stackalloc ulong[8];
            long seen = 0;
            Layout[] layouts = [.. ArmSmmuLayouts.All];
            LayoutField[][] all = [.. layouts.Select(l => l.Fields.ToArray())];
            Span<byte> bytes = stackalloc byte[64];
            for (int i = 0; i < Structures / Workers; i++)
            {
                int which = i % layouts.Length;
                random.NextBytes(bytes[..(layouts[which].Words * 8)]);
                for (int word = 0; word < layouts[which].Words; word++)
                {
                    words[word] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(word * 8)..]);
                }

                // Most random structures break every reserved range, and each violation costs a line of text: so every
                // 32nd is checked as it is and the others with one bit set.
                ReadOnlySpan<ulong> structure = words[..layouts[which].Words];
                foreach (LayoutField field in all[which])
                {
                    ulong value = field.Get(structure);
                    seen += value <= field.Maximum || field.Kind is FieldKind.Reserved or FieldKind.Ignored ? 1 : long.MinValue / 4;
                }

                if (i / layouts.Length % 32 == 0)
                {
                    _ = layouts[which].Check(structure);
                }
                else
                {
                    int bit = random.Next(layouts[which].Bits);
                    words[..layouts[which].Words].Clear();
                    words[bit >> 6] = 1UL << (bit & 63);
                    _ = layouts[which].Check(structure);
                }
            }

            Assert.True(seen > 0, $"seed {seed}: a field was larger than its maximum");
            Interlocked.Add(ref fields, seen);
        });
        Assert.True(fields > Structures);
    }

    [Fact]
    public void A_hundred_thousand_random_images_are_listed_and_walked()
    {
        long deep = 0;
        long pasids = 0;
        long findings = 0;
        int shapes = 0;
        Parallel.For(0, Workers, worker =>
        {
            var image = new Image();
            for (int i = worker; i < Images; i += Workers)
            {
                try
                {
                    image.Fill(i);
                    (int steps, int numbers, int wrong) = image.Read();
                    Interlocked.Add(ref deep, steps >= 4 ? 1 : 0);
                    Interlocked.Add(ref pasids, numbers);
                    Interlocked.Add(ref findings, wrong);
                    Interlocked.Or(ref shapes, 1 << Math.Min(steps, 30));
                }
                catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
                {
                    throw new InvalidOperationException($"image of seed {i}", e);
                }
            }
        });

        // The images are worth reading: walks go deep, entries are found, and much is wrong.
        Assert.True(deep > Images / 40, $"only {deep} walks went deep");
        Assert.True(pasids > Images / 20, $"only {pasids} PASIDs");
        Assert.True(findings > Images / 2, $"only {findings} findings");
    }

    /// <summary>16 pages whose words are often pointers into them.</summary>
    private sealed class Image
    {
        private const int Pages = 16;
        private const ulong Base = 0x4000_0000;

        private readonly byte[] _bytes = new byte[Pages * 4096];
        private readonly MemoryImage _memory = new();
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
            _configuration = isTwoLevel ? 0x10000UL | (6UL << 6) | (uint)_random.Next(4, 14) : (ulong)(uint)_random.Next(0, 8);
            int density = _random.Next(1, 12);
            for (int page = 0; page < Pages; page++)
            {
                // Most pages are of a kind that walks look for: streams, descriptors, page tables.
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

        public (int Steps, int Pasids, int Findings) Read()
        {
            OpResult<ITableView> view = new SmmuTableReader().Open(_memory, new Dictionary<string, ulong>
            {
                ["STRTAB_BASE"] = _table,
                ["STRTAB_BASE_CFG"] = _configuration,
            });
            Assert.True(view.IsOk, view.ToString());
            int items = 0;
            int pasids = 0;
            int findings = 0;
            RequesterId requester = new(0);
            Pasid? pasid = null;
            foreach (TableItem item in view.Value.Items(200))
            {
                items++;
                findings += item.Kind == TableItemKind.Finding ? 1 : 0;
                pasids += item.Kind == TableItemKind.Pasid ? 1 : 0;
                if (item.Kind == TableItemKind.Pasid || (item.Kind == TableItemKind.Device && pasid is null))
                {
                    requester = item.Requester!.Value;
                    pasid = item.Pasid;
                }
            }

            Assert.InRange(items, 0, 201);
            int steps = 0;
            for (int i = 0; i < 3; i++)
            {
                ulong address = _random.Next(3) == 0 ? (ulong)_random.NextInt64() : (ulong)_random.NextInt64(1L << 25);
                TableWalk walk = view.Value.Walk(new DmaAccess(requester, pasid, address, IsWrite: i == 0));
                steps = Math.Max(steps, walk.Steps.Count);
                Assert.InRange(walk.Steps.Count, 0, 40);
            }

            return (steps, pasids, findings);
        }

        private ulong Pointer() => Base + ((ulong)(uint)_random.Next(_random.Next(8) == 0 ? Pages * 2 : Pages) << 12);

        private void Put(int at, ulong value) =>
            BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan(at), _random.Next(40) == 0 ? value ^ (1UL << _random.Next(64)) : value);

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
                    Put(at, 1 | (config << 1) | Pointer() | ((ulong)(uint)_random.Next(2) << 4) | ((ulong)(uint)_random.Next(7) << 59));
                    Put(at + 8, 0xD4UL | (uint)_random.Next(3));
                    Put(at + 16, (25UL << 32) | (1UL << 38) | (5UL << 48) | (1UL << 51) | (1UL << 58));
                    Put(at + 24, Pointer());
                    break;
                case 2 or 3:
                    Put(at, 0x0000_6205_C000_3510 & ~(1UL << 15) | (uint)_random.Next(16, 40) | ((ulong)(uint)_random.Next(1 << 16) << 48));
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
                        Put(at + i, Pointer() | (_random.Next(4) == 0 ? 0x4C1UL : 0x7C3));
                    }

                    break;
                default:
                    _random.NextBytes(_bytes.AsSpan(at, 64));
                    break;
            }
        }
    }
}
