// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>The allocator that a space of this driver uses: its own, or the framework's lowest-first one.</summary>
internal static class AllocatorCases
{
    private static readonly CaseFamily s_family = new("allocator", "ALC", needsHardware: false);
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        Of(1, "A1, A2, A8", "PASIDs lie in the asked range and are never live twice", Unique),
        Of(2, "A3", "A reserved PASID is never allocated, and a live one cannot be reserved", Reserved),
        Of(3, "A4, A5", "A full range answers NoSpace and changes nothing; a range of one works", Full),
        Of(4, "A6", "Freeing what is not live is reported and changes nothing", Free),
        Of(5, "A7", "A freed PASID can be had again", Again),
        Of(6, "A9", "Concurrent calls neither lose a PASID nor give one twice",
            Concurrent) with { IsStochastic = true },
        Of(7, "A10", "The same calls give the same PASIDs", Determinism),
        Of(8, "A1-A7", "Random calls agree with a set of PASIDs", Random),
    ];

    private static ConformanceCase Of(int number, string clause, string summary,
        Action<CaseContext, Func<PasidRange, IPasidAllocator>> run) =>
        s_family.Required(number, clause, summary, context =>
        {
            using StandIn stand = StandIn.Start(context);
            if (stand.Unit.PasidBits < 9)
            {
                context.NotApplicable($"the unit has {stand.Unit.PasidBits} bits; the cases need 9 bits");
            }

            run(context, range =>
            {
                IPasidAllocator allocator = stand.Unit.CreateAllocator(range) ?? new LowestPasidAllocator(range);
                context.Check(allocator.Range == range,
                    $"asked for an allocator of {range}, got one of {allocator.Range}");
                return allocator;
            });
        });

    // A driver need not answer for PASIDs that none of its units can carry.
    private static PasidRange Top(CaseContext context)
    {
        uint last = (1u << context.Subject.Metadata.PasidBits) - 1;
        return new PasidRange(last - 255, last);
    }

    private static uint Take(CaseContext context, IPasidAllocator allocator, PasidRange range)
    {
        PasidAllocation made = allocator.Allocate(new PasidRequest(range));
        context.Check(made.IsAllocated, $"{range}: {made.Status}, a PASID is free");
        context.Check(range.Contains(made.Pasid.Value), $"0x{made.Pasid.Value:x} is outside of {range}");
        return made.Pasid.Value;
    }

    private static void Unique(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        foreach (PasidRange space in new[] { new PasidRange(1, 300), new PasidRange(64, 191), Top(context) })
        {
            IPasidAllocator allocator = create(space);
            HashSet<uint> live = [];
            PasidRange[] parts =
            [
                new PasidRange(space.First, space.First + 3),
                new PasidRange(space.Last - 3, space.Last),
                new PasidRange(space.First + 60, space.First + 70),
                space,
            ];
            foreach (PasidRange part in parts)
            {
                while (live.Count(part.Contains) < part.Count)
                {
                    uint got = Take(context, allocator, part);
                    context.Check(live.Add(got), $"0x{got:x} was allocated twice");
                    context.Check(allocator.IsLive(new Pasid(got)), $"0x{got:x} was allocated and is not live");
                    context.Check(allocator.LiveCount == live.Count,
                        $"LiveCount is {allocator.LiveCount}, {live.Count} are live");
                }
            }
        }
    }

    private static void Reserved(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        var range = new PasidRange(1, 20);
        IPasidAllocator allocator = create(range);
        uint live = Take(context, allocator, range);
        context.Check(!allocator.TryReserve(new Pasid(live)), $"0x{live:x} is live and could be reserved");
        HashSet<uint> reserved = [.. new uint[] { 1, 2, 7, 19, 20 }.Where(n => n != live)];
        foreach (uint number in reserved)
        {
            context.Check(allocator.TryReserve(new Pasid(number)), $"0x{number:x} is free and cannot be reserved");
        }

        for (long left = range.Count - reserved.Count - 1; left > 0; left--)
        {
            uint got = Take(context, allocator, range);
            context.Check(!reserved.Contains(got), $"the reserved PASID 0x{got:x} was allocated");
        }

        PasidAllocation none = allocator.Allocate(new PasidRequest(range));
        context.Check(!none.IsAllocated, $"0x{none.Pasid.Value:x} was allocated, only reserved PASIDs are left");
    }

    private static void Full(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        var one = new PasidRange(5, 5);
        IPasidAllocator single = create(one);
        context.Check(Take(context, single, one) == 5, $"a space of one PASID");
        IPasidAllocator allocator = create(new PasidRange(1, 100));
        for (int i = 0; i < 100; i++)
        {
            _ = Take(context, allocator, allocator.Range);
        }

        foreach (PasidRange full in new[] { allocator.Range, one, new PasidRange(90, 100) })
        {
            PasidAllocation none = allocator.Allocate(new PasidRequest(full));
            context.Check(none.Status == PasidAllocationStatus.NoSpace,
                $"{full} is full: {none.Status}, must be NoSpace");
            context.Check(allocator.LiveCount == 100, $"a refused call changed LiveCount to {allocator.LiveCount}");
        }

        foreach (PasidRange wrong in new[] { PasidRange.Empty, new PasidRange(200, 300) })
        {
            PasidAllocation none = allocator.Allocate(new PasidRequest(wrong));
            context.Check(none.Status == PasidAllocationStatus.InvalidRange,
                $"{wrong} is empty or outside of {allocator.Range}: {none.Status}, must be InvalidRange");
        }
    }

    private static void Free(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        IPasidAllocator allocator = create(new PasidRange(1, 100));
        uint live = Take(context, allocator, allocator.Range);
        foreach (uint number in new uint[] { live == 50 ? 51u : 50u, 0, 101, Pasid.MaxValue })
        {
            PasidFreeStatus status = allocator.Free(new Pasid(number));
            context.Check(status == PasidFreeStatus.NotAllocated, $"free of 0x{number:x}, which is not live: {status}");
            context.Check(allocator.LiveCount == 1,
                $"free of 0x{number:x}, which is not live, changed LiveCount to {allocator.LiveCount}");
        }

        context.Check(allocator.Free(new Pasid(live)) == PasidFreeStatus.Freed, $"free of the live 0x{live:x}");
        context.Check(allocator.Free(new Pasid(live)) == PasidFreeStatus.NotAllocated, $"0x{live:x} was freed twice");
        context.Check(allocator.LiveCount == 0, $"LiveCount is {allocator.LiveCount}, nothing is live");
        context.Check(!allocator.IsLive(new Pasid(live)), $"0x{live:x} is free and said to be live");
    }

    private static void Again(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        IPasidAllocator allocator = create(new PasidRange(1, 200));
        for (int i = 0; i < 200; i++)
        {
            _ = Take(context, allocator, allocator.Range);
        }

        foreach (uint number in new uint[] { 1, 63, 64, 65, 127, 128, 200 })
        {
            context.Check(allocator.Free(new Pasid(number)) == PasidFreeStatus.Freed, $"free of 0x{number:x}");
            uint got = Take(context, allocator, new PasidRange(number, number));
            context.Check(got == number, $"asked for 0x{number:x}, got 0x{got:x}");
        }
    }

    private static void Concurrent(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        const int Threads = 4;
        const int Rounds = 2000;
        IPasidAllocator allocator = create(new PasidRange(1, 40));
        int[] owners = new int[64];
        string? wrong = null;
        using var barrier = new Barrier(Threads);
        void Work(int me)
        {
            List<uint> mine = [];
            barrier.SignalAndWait();
            for (int i = 0; i < Rounds && Volatile.Read(ref wrong) is null; i++)
            {
                PasidAllocation made = allocator.Allocate(new PasidRequest(allocator.Range));
                if (made.IsAllocated)
                {
                    if (Interlocked.Exchange(ref owners[made.Pasid.Value], me) != 0)
                    {
                        Volatile.Write(ref wrong, Text($"0x{made.Pasid.Value:x} was allocated to two threads"));
                    }

                    mine.Add(made.Pasid.Value);
                }

                if (mine.Count > 12 || (!made.IsAllocated && mine.Count > 0))
                {
                    uint back = mine[i % mine.Count];
                    mine.Remove(back);
                    Volatile.Write(ref owners[back], 0);
                    if (allocator.Free(new Pasid(back)) != PasidFreeStatus.Freed)
                    {
                        Volatile.Write(ref wrong, Text($"0x{back:x} is live and its free was refused"));
                    }
                }
            }

            foreach (uint back in mine)
            {
                Volatile.Write(ref owners[back], 0);
                _ = allocator.Free(new Pasid(back));
            }
        }

        Races.Run(context, Threads, Work);
        context.Check(wrong is null, $"{wrong ?? ""}");
        context.Check(allocator.LiveCount == 0, $"LiveCount is {allocator.LiveCount} after everything was freed");
        for (int i = 0; i < 40; i++)
        {
            _ = Take(context, allocator, allocator.Range);
        }
    }

    private static void Determinism(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        int seed = context.Random.Next();
        uint[] first = Trace(context, create(new PasidRange(1, 150)), new Random(seed));
        uint[] second = Trace(context, create(new PasidRange(1, 150)), new Random(seed));
        for (int i = 0; i < first.Length; i++)
        {
            context.Check(first[i] == second[i],
                $"call {i + 1} gave 0x{first[i]:x} and, in a second run, 0x{second[i]:x}");
        }
    }

    private static uint[] Trace(CaseContext context, IPasidAllocator allocator, Random random)
    {
        List<uint> live = [];
        List<uint> got = [];
        for (int i = 0; i < 500; i++)
        {
            if (live.Count < 100 && random.Next(2) == 0)
            {
                live.Add(Take(context, allocator, allocator.Range));
                got.Add(live[^1]);
            }
            else if (live.Count > 0)
            {
                int at = random.Next(live.Count);
                _ = allocator.Free(new Pasid(live[at]));
                live.RemoveAt(at);
            }
        }

        return [.. got];
    }

    private static void Random(CaseContext context, Func<PasidRange, IPasidAllocator> create)
    {
        Random random = context.Random;
        for (int run = 0; run < 30; run++)
        {
            uint first = (uint)random.Next(1, 200);
            var range = new PasidRange(first, first + (uint)random.Next(150));
            IPasidAllocator allocator = create(range);
            HashSet<uint> live = [];
            HashSet<uint> reserved = [];
            for (int i = 0; i < 300; i++)
            {
                uint number = first + (uint)random.Next((int)range.Count);
                switch (random.Next(10))
                {
                    case 0:
                        bool may = !live.Contains(number);
                        context.Check(allocator.TryReserve(new Pasid(number)) == may,
                            $"TryReserve(0x{number:x}) must be {may}");
                        _ = may && reserved.Add(number);
                        break;
                    case < 4:
                        PasidFreeStatus status = allocator.Free(new Pasid(number));
                        PasidFreeStatus wanted = live.Remove(number) ? PasidFreeStatus.Freed
                            : PasidFreeStatus.NotAllocated;
                        context.Check(status == wanted, $"Free(0x{number:x}) is {status}, must be {wanted}");
                        break;
                    default:
                        var part = new PasidRange(number, (uint)Math.Min(range.Last, number + (uint)random.Next(20)));
                        bool any = Enumerable.Range((int)part.First, (int)part.Count)
                            .Any(n => !live.Contains((uint)n) && !reserved.Contains((uint)n));
                        PasidAllocation made = allocator.Allocate(new PasidRequest(part));
                        context.Check(made.IsAllocated == any,
                            $"{part} gave {made.Status}, a free PASID is there: {any}");
                        context.Check(
                            !any || (part.Contains(made.Pasid.Value) && !reserved.Contains(made.Pasid.Value)
                                && live.Add(made.Pasid.Value)),
                            $"{part} gave 0x{made.Pasid.Value:x}, which is outside, reserved or live");
                        break;
                }

                context.Check(allocator.LiveCount == live.Count,
                    $"LiveCount is {allocator.LiveCount}, {live.Count} are live");
            }
        }
    }
}
