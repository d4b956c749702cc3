// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>Tests that look at the memory of the whole process run alone.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>Whatever is in memory, nothing throws, hangs or grows. A failure names seed and round.</summary>
[Collection(nameof(Alone))]
public sealed class RandomBytesTests(ITestOutputHelper output)
{
    private const ulong Seed = 0x5EED_2017_0001;
    private const long MaxRetained = 4 << 20;

    [Fact]
    public void Random_structures_decode()
    {
        int structures = Effort.Of(10_000_000);
        var random = new Noise(Seed);
        Layout[] layouts = [.. VirtioIommuLayouts.All];
        LayoutField[][] fields = [.. layouts.Select(l => l.Fields.ToArray())];
        Span<ulong> words = stackalloc ulong[16];
        ulong sum = 0;
        long violations = 0;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int round = 0; round < structures; round++)
        {
            int which = round % layouts.Length;
            Span<ulong> structure = words[..layouts[which].Words];
            try
            {
                foreach (ref ulong word in structure)
                {
                    word = random.Next();
                }

                foreach (LayoutField field in fields[which])
                {
                    sum += field.Get(structure);
                }

                violations += layouts[which].Check(structure).Count;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Assert.Fail($"seed 0x{Seed:x}, round {round}, {layouts[which].Id}: {e}");
            }
        }

        Assert.NotEqual(0UL, sum);
        Assert.InRange(violations, structures / 4, long.MaxValue);
        CheckRetained(before);
    }

    [Fact]
    public void Random_table_images_are_listed_and_walked()
    {
        int images = Effort.Of(100_000);
        const int Pages = 12;
        const int MaxItems = 200;
        var random = new Noise(Seed + 1);
        var reader = new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() };
        ulong[] bases =
        [
            .. Enumerable.Range(0, Pages).Select(
                i => i < 8 ? 0x10000 + ((ulong)i * 0x1000) : 0x80_0000 + ((ulong)i * 0x3000)),
        ];
        byte[][] pages = [.. bases.Select(_ => new byte[4096])];
        var image = new MemoryImage();
        for (int i = 0; i < Pages; i++)
        {
            image.Add(bases[i], pages[i]);
        }

        int deep = 0;
        int translated = 0;
        long items = 0;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int round = 0; round < images; round++)
        {
            try
            {
                Scribble(ref random, pages, bases);
                Dictionary<string, ulong> registers = Registers(ref random, bases);
                OpResult<ITableView> view = reader.Open(image, registers);
                if (!view.IsOk)
                {
                    continue;
                }

                int listed = view.Value.Items(MaxItems).Count();
                Assert.InRange(listed, 0, MaxItems);
                items += listed;
                for (int i = 0; i < 4; i++)
                {
                    ulong chosen = random.Next();
                    Pasid? pasid = (chosen & 15) == 0 ? null : new Pasid((uint)(chosen >> 8) & 0x3F);
                    var access = new DmaAccess(
                        new RequesterId(0), pasid, (random.Next() & 0x0000_00C0_4020_1FFF), (chosen & 16) != 0);
                    TableWalk walk = view.Value.Walk(access);
                    Assert.Equal(
                        ArmOracle.Walk(image, Shape(registers), access), (walk.Result.Status, walk.Result.Address));
                    Assert.InRange(walk.Steps.Count, 0, 6);
                    deep += walk.Steps.Count >= 4 ? 1 : 0;
                    translated += walk.Result.Status == TranslationStatus.Translated ? 1 : 0;
                }
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Assert.Fail($"seed 0x{Seed + 1:x}, round {round}: {e}");
            }
        }

        // The images must be worth it: walks end in page tables, not at the first entry.
        Assert.InRange(items, images, long.MaxValue);
        Assert.InRange(deep, images / 100, int.MaxValue);
        Assert.InRange(translated, images / 200, int.MaxValue);
        CheckRetained(before);
    }

    [Theory]
    [InlineData("none"), InlineData("B"), InlineData("E")]
    public void Random_requests_are_answered_by_device_and_model(string dialect)
    {
        const int Requests = 60_000;
        var random = new Noise(Seed + 2);
        using Fixture plain = Fixture.Start(dialect, endpoints: "0,1,2,3");
        using var fixture = new ModelFixture(dialect);
        plain.Hardware.Device.LogCapacity = 0;
        fixture.Model.Device.LogCapacity = 0;
        var words = new ulong[16];
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int round = 0; round < Requests; round++)
        {
            int bytes = Fill(ref random, words);

            // What the test's own hardware and memory write down is not the driver's to bound.
            plain.Hardware.Writes.Clear();
            fixture.Memory.Settle();
            try
            {
                RequestStatus one = plain.Started.Requests.Send(words, bytes);
                Assert.True(
                    one is RequestStatus.Unrecognised or (>= RequestStatus.Ok and <= RequestStatus.NoMem), $"{one}");

                // The model has all endpoints, so only those that there are few of.
                words[1] &= 0xFFFF_FFFF_0000_0003;
                RequestStatus two = fixture.Started.Requests.Send(words, bytes);
                Assert.True(
                    two is RequestStatus.Unrecognised or (>= RequestStatus.Ok and <= RequestStatus.NoMem), $"{two}");
                fixture.Access((round & 1) == 0 ? null : new Pasid((uint)round & 7), words[3],
                    endpoint: (uint)round & 3);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Assert.Fail($"seed 0x{Seed + 2:x}, round {round}, dialect {dialect}: {e}");
            }
        }

        // Device and model are still in use: what they keep counts.
        CheckRetained(before);
        Assert.NotEmpty(fixture.Model.Violations);
        GC.KeepAlive(plain);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Random_rings_make_the_device_ask_for_a_reset_at_worst(bool model)
    {
        int rounds = Effort.Of(20_000);
        var random = new Noise(Seed + 3);
        using Fixture? plain = model ? null : Fixture.Start("B");
        using ModelFixture? strict = model ? new ModelFixture("B") : null;
        StartedDevice started = strict?.Started ?? plain!.Started;
        IRegisterFile registers = strict?.Model.Registers ?? plain!.Hardware;
        IPhysicalMemory memory = started.Memory;
        Virtqueue ring = started.Requests.Ring;
        int resets = 0;
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int round = 0; round < rounds; round++)
        {
            plain?.Hardware.Writes.Clear();
            strict?.Memory.Settle();
            try
            {
                for (int i = 0; i < 8; i++)
                {
                    ulong at = ring.Descriptors + (random.Next() % 24 * 8);
                    memory.WriteQword(at, (random.Next() & 3) switch
                    {
                        0 => random.Next(),
                        1 => started.Requests.SlotAddress((int)(random.Next() & 3)),
                        2 => (random.Next() & 0x3F) | ((random.Next() & 3) << 32) | ((random.Next() & 7) << 48),
                        _ => 0,
                    });
                }

                memory.WriteQword(ring.Available, random.Next() & 0x0007_0003_FFFF_0001);
                registers.Write32(MmioRegister.QueueNotify, 0);
                if ((registers.Read32(MmioRegister.Status) & DeviceStatus.NeedsReset) != 0)
                {
                    resets++;
                    Restart(registers, ring);
                }
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Assert.Fail($"seed 0x{Seed + 3:x}, round {round}: {e}");
            }
        }

        Assert.InRange(resets, rounds / 10, rounds);
        CheckRetained(before);
        GC.KeepAlive(started);
    }

    private void CheckRetained(long before)
    {
        long retained = GC.GetTotalMemory(forceFullCollection: true) - before;
        output.WriteLine($"{retained} bytes are retained");
        Assert.True(retained < MaxRetained, $"{retained} bytes are retained, at most {MaxRetained} may be");
    }

    private static void Restart(IRegisterFile registers, Virtqueue ring)
    {
        registers.Write32(MmioRegister.Status, 0);
        registers.Write32(MmioRegister.DriverFeaturesSel, 0);
        registers.Write32(MmioRegister.DriverFeatures, (uint)(FeatureBits.MapUnmap | FeatureBits.ProposalBAttachTable));
        registers.Write32(MmioRegister.DriverFeaturesSel, 1);
        registers.Write32(MmioRegister.DriverFeatures, 1);
        registers.Write32(MmioRegister.Status, 11);
        registers.Write32(MmioRegister.QueueSel, 0);
        registers.Write32(MmioRegister.QueueNum, (uint)ring.Size);
        registers.Write64(MmioRegister.QueueDescLow, ring.Descriptors);
        registers.Write64(MmioRegister.QueueDriverLow, ring.Available);
        registers.Write64(MmioRegister.QueueDeviceLow, ring.Used);
        registers.Write32(MmioRegister.QueueReady, 1);
        registers.Write32(MmioRegister.Status, 15);
    }

    // A request that is right more often than chance would have it.
    private static int Fill(ref Noise random, ulong[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = (random.Next() & 3) switch
            {
                0 => random.Next(),
                1 => random.Next() & 0xF,
                2 => (random.Next() & 0xFF) << 12,
                _ => 0,
            };
        }

        // Type and domain; endpoint or PASID, and flags.
        words[0] = (random.Next() % 10) | ((random.Next() & 3) << 32);
        if ((words[0] & 0xFF) == 5)
        {
            // A PROBE has no room for its answer in a slot: the device would ask for a reset.
            words[0]++;
        }

        int[] lengths = [20, 20, 36, 28, 76, 60, 124, 72, 8];
        return lengths[random.Next() % (ulong)lengths.Length];
    }

    private static void Scribble(ref Noise random, byte[][] pages, ulong[] bases)
    {
        for (int i = 0; i < 160; i++)
        {
            Span<byte> page = pages[random.Next() % (ulong)pages.Length];

            // Low indices, where the accesses of the test pass.
            int at = (int)(random.Next() % ((random.Next() & 3) == 0 ? 512UL : 24)) * 8;
            ulong pointer = bases[random.Next() % (ulong)bases.Length];
            ulong value = (random.Next() & 7) switch
            {
                0 => random.Next(),
                1 => 0,
                2 => pointer | 1,
                3 or 4 => pointer | 3,
                5 => pointer | 0xF43,
                6 => pointer,
                _ => 0x002ae205c0003510 ^ ((random.Next() & 3) == 0 ? 1UL << (int)(random.Next() & 63) : 0),
            };
            BinaryPrimitives.WriteUInt64LittleEndian(page[at..], value);
        }

        // Whole descriptors, so that many walks come to page tables.
        for (int i = 0; i < 12; i++)
        {
            Span<byte> page = pages[random.Next() % (ulong)pages.Length];
            int at = (int)(random.Next() & 63) * 64;
            BinaryPrimitives.WriteUInt64LittleEndian(page[at..], 0x002ae205c0003510);
            BinaryPrimitives.WriteUInt64LittleEndian(page[(at + 8)..], bases[random.Next() % (ulong)bases.Length]);
            page.Slice(at + 16, 48).Clear();
        }
    }

    private static Dictionary<string, ulong> Registers(ref Noise random, ulong[] bases)
    {
        ulong format = random.Next() % 3;
        ulong width = (random.Next() & 1023) == 0 ? random.Next() % 21 : 6 + (random.Next() & 3);
        ulong pointer = (random.Next() & 15) == 0 ? random.Next() & ~63UL : bases[random.Next() % (ulong)bases.Length];
        ulong others = random.Next() % 3;
        return (random.Next() & 1) == 0
            ? new Dictionary<string, ulong>
            {
                ["s1contextptr"] = pointer,
                ["s1fmt"] = format,
                ["s1cdmax"] = width,
                ["s1dss"] = others,
            }
            : new Dictionary<string, ulong>
            {
                ["ste0"] = 0b1011 | (format << 4) | (pointer & 0x00FF_FFFF_FFFF_FFC0) | (width << 59),
                ["ste1"] = others,
            };
    }

    private static (int Fmt, ulong Pointer, int CdMax, int Dss) Shape(Dictionary<string, ulong> registers) =>
        registers.TryGetValue("ste0", out ulong ste0)
            ? ((int)(ste0 >> 4 & 3), ste0 & 0x00FF_FFFF_FFFF_FFC0, (int)(ste0 >> 59), (int)registers["ste1"])
            : ((int)registers["s1fmt"], registers["s1contextptr"], (int)registers["s1cdmax"], (int)registers["s1dss"]);

    /// <summary>Xorshift: fast, the same everywhere.</summary>
    private struct Noise(ulong seed)
    {
        private ulong _state = seed;

        public ulong Next()
        {
            _state ^= _state << 13;
            _state ^= _state >> 7;
            _state ^= _state << 17;
            return _state * 0x9E37_79B9_7F4A_7C15 >> 1;
        }
    }
}
