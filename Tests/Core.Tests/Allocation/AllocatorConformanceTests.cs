// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class CyclicConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new CyclicPasidAllocator(range), () => new NaiveAllocator(range, new NaiveCyclic()));
}

public sealed class SingleOwnerConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new Serialised(new SingleOwnerPasidAllocator(range)),
            () => new NaiveAllocator(range, new NaiveCyclic()));

    // The owner's part: one call at a time.
    private sealed class Serialised(SingleOwnerPasidAllocator inner) : IPasidAllocator, ISelfChecking
    {
        private readonly Lock _lock = new();
        public string Name => "single-owner";
        public PasidRange Range => inner.Range;

        public int LiveCount
        {
            get
            {
                lock (_lock)
                {
                    return inner.LiveCount;
                }
            }
        }

        public PasidAllocation Allocate(in PasidRequest request)
        {
            lock (_lock)
            {
                return inner.Allocate(in request);
            }
        }

        public PasidFreeStatus Free(Pasid pasid)
        {
            lock (_lock)
            {
                return inner.Free(pasid);
            }
        }

        public bool TryReserve(Pasid pasid)
        {
            lock (_lock)
            {
                return inner.TryReserve(pasid);
            }
        }

        public bool IsLive(Pasid pasid)
        {
            lock (_lock)
            {
                return inner.IsLive(pasid);
            }
        }

        public void AssertInvariants()
        {
            lock (_lock)
            {
                ((ISelfChecking)inner).AssertInvariants();
            }
        }
    }
}

// For one thread, stocks give what the cyclic policy gives.
public sealed class ShardedConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new ShardedPasidAllocator(range), () => new NaiveAllocator(range, new NaiveCyclic()));
}

public sealed class LowestConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new LowestPasidAllocator(range), () => new NaiveAllocator(range, new NaiveLowest()));
}

public sealed class TopDownConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new TopDownPasidAllocator(range), () => new NaiveAllocator(range, new NaiveTopDown()));
}

public sealed class RandomConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new RandomPasidAllocator(range, 42), () => new NaiveAllocator(range, new NaiveRandom(42)));
}

public sealed class DelegatedConformanceTests : AllocatorConformance
{
    internal override bool AimsAtRequest => false;

    internal override Subject Create(PasidRange range) =>
        new(new DelegatedPasidAllocator(new FakeHost(HostRange(range)), range),
            () => new NaiveAllocator(range, new NaiveDelegate()));

    // The ranges that the allocator has to refuse are too large for an array.
    internal static PasidRange HostRange(PasidRange range) => range.Last > Pasid.MaxValue ? PasidRange.Empty : range;
}

public abstract class QuarantineConformance : AllocatorConformance
{
    private protected abstract int Frees { get; }
    internal override int FreesToWait(PasidRange range) => (int)Math.Min(Frees, Math.Max(range.Count - 1, 0));

    internal override Subject Create(PasidRange range)
    {
        (IPasidAllocator inner, NaivePolicy policy) = CreateInner(range);
        int frees = FreesToWait(range);
        QuarantinePasidAllocator quarantine = new(inner, frees, 0, TimeProvider.System);
        return new Subject(quarantine, () => new NaiveAllocator(range, policy, frees), () => quarantine.WaitingCount);
    }

    private protected abstract (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range);
}

public sealed class QuarantineOfNothingConformanceTests : QuarantineConformance
{
    private protected override int Frees => 0;

    private protected override (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range) =>
        (new CyclicPasidAllocator(range), new NaiveCyclic());
}

public sealed class QuarantineOfOneOverLowestConformanceTests : QuarantineConformance
{
    private protected override int Frees => 1;

    private protected override (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range) =>
        (new LowestPasidAllocator(range), new NaiveLowest());
}

public sealed class QuarantineOverTopDownConformanceTests : QuarantineConformance
{
    private protected override int Frees => 17;

    private protected override (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range) =>
        (new TopDownPasidAllocator(range), new NaiveTopDown());
}

public sealed class QuarantineOverShardedConformanceTests : QuarantineConformance
{
    private protected override int Frees => 9;

    private protected override (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range) =>
        (new ShardedPasidAllocator(range), new NaiveCyclic());
}

public sealed class QuarantineOverDelegatedConformanceTests : QuarantineConformance
{
    internal override bool AimsAtRequest => false;
    private protected override int Frees => 5;

    private protected override (IPasidAllocator Inner, NaivePolicy Policy) CreateInner(PasidRange range) =>
        (new DelegatedPasidAllocator(new FakeHost(DelegatedConformanceTests.HostRange(range)), range),
            new NaiveDelegate());
}

public sealed class QuotaConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new QuotaPasidAllocator(new CyclicPasidAllocator(range), 4),
            () => new NaiveAllocator(range, new NaiveCyclic(), quota: 4));
}

public sealed class QuotaOverShardedConformanceTests : AllocatorConformance
{
    internal override Subject Create(PasidRange range) =>
        new(new QuotaPasidAllocator(new ShardedPasidAllocator(range), 4),
            () => new NaiveAllocator(range, new NaiveCyclic(), quota: 4));
}

public sealed class QuotaOverQuarantineConformanceTests : AllocatorConformance
{
    internal override int FreesToWait(PasidRange range) => (int)Math.Min(7, Math.Max(range.Count - 1, 0));

    internal override Subject Create(PasidRange range)
    {
        int frees = FreesToWait(range);
        QuarantinePasidAllocator quarantine = new(new RandomPasidAllocator(range, 9), frees, 0, TimeProvider.System);
        return new Subject(
            new QuotaPasidAllocator(quarantine, 3),
            () => new NaiveAllocator(range, new NaiveRandom(9), frees, 3),
            () => quarantine.WaitingCount);
    }
}
