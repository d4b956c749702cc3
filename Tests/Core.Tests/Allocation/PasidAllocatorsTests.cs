// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class PasidAllocatorsTests
{
    private static readonly PasidRequest s_any = new(PasidRange.Full);

    [Fact]
    public void The_built_in_policies_are_known_by_their_names()
    {
        Assert.Equal(
            ["cyclic", "lowest", "random", "sharded", "top-down"],
            PasidAllocators.BuiltIn.Keys.Order(StringComparer.Ordinal));
        foreach ((string name, IPasidAllocatorFactory factory) in PasidAllocators.BuiltIn)
        {
            IPasidAllocator allocator = factory.Create(new PasidRange(3, 9), 1);
            Assert.Equal(name, allocator.Name);
            Assert.Equal(new PasidRange(3, 9), allocator.Range);
        }
    }

    [Theory]
    [InlineData("cyclic", typeof(CyclicPasidAllocator)), InlineData("lowest", typeof(LowestPasidAllocator))]
    [InlineData("top-down", typeof(TopDownPasidAllocator)), InlineData("random", typeof(RandomPasidAllocator))]
    [InlineData("sharded", typeof(ShardedPasidAllocator))]
    public void A_policy_without_decorations_is_composed_bare(string name, Type type)
    {
        IPasidAllocator allocator = Compose(new PasidOptions { Allocator = name });

        Assert.IsType(type, allocator);
        Assert.Equal(new PasidRange(1, 0xFFFFF), allocator.Range);
    }

    [Fact]
    public void A10_the_seed_of_the_options_reaches_the_policy()
    {
        Pasid one = Compose(new PasidOptions { Allocator = "random", Seed = 1 }).Allocate(in s_any).Pasid;
        Pasid again = Compose(new PasidOptions { Allocator = "random", Seed = 1 }).Allocate(in s_any).Pasid;
        Pasid other = Compose(new PasidOptions { Allocator = "random", Seed = 2 }).Allocate(in s_any).Pasid;

        Assert.Equal(one, again);
        Assert.NotEqual(one, other);
    }

    [Theory]
    [InlineData(1, 0xFFFFF, 0u, 255u, 1u, 255u), InlineData(16, 100, 0u, 0xFFFFFu, 16u, 100u)]
    [InlineData(16, 100, 50u, 60u, 50u, 60u), InlineData(0, 0xFFFFF, 0u, uint.MaxValue, 0u, 0xFFFFFu)]
    public void The_range_is_what_options_and_space_have_in_common(
        long optionFirst, long optionLast, uint first, uint last, uint expectedFirst, uint expectedLast)
    {
        PasidOptions options = new() { First = optionFirst, Last = optionLast };

        IPasidAllocator allocator = PasidAllocators.Compose(options, null, new(first, last), TimeProvider.System);

        Assert.Equal(new PasidRange(expectedFirst, expectedLast), allocator.Range);
    }

    [Fact]
    public void A3_reserved_PASIDs_of_the_options_are_never_allocated()
    {
        PasidOptions options = new()
        {
            First = 1,
            Last = 4,
            QuarantineFrees = 1,
            QuotaPerTenant = 9,
            Reserved = { 2, 2, 3, 99 },
        };

        IPasidAllocator allocator = Compose(options);

        Assert.Equal(PasidAllocation.Of(1), allocator.Allocate(in s_any));
        Assert.Equal(PasidAllocation.Of(4), allocator.Allocate(in s_any));
        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
    }

    [Fact]
    public void The_quota_lies_around_the_quarantine_so_that_waiting_PASIDs_are_not_charged()
    {
        PasidOptions options = new() { Last = 10, QuarantineFrees = 3, QuotaPerTenant = 1 };
        QuotaPasidAllocator allocator = Assert.IsType<QuotaPasidAllocator>(Compose(options));
        PasidRequest owned = new(PasidRange.Full, Owner: 1);
        Assert.Equal("lowest+quarantine+quota", allocator.Name);

        for (uint pasid = 1; pasid <= 4; pasid++)
        {
            Assert.Equal(PasidAllocation.Of(pasid), allocator.Allocate(in owned));
            Assert.Equal(PasidAllocationStatus.QuotaExceeded, allocator.Allocate(in owned).Status);
            Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(pasid)));
        }

        Assert.Equal(PasidAllocation.Of(1), allocator.Allocate(in owned));
    }

    [Fact]
    public void A_quarantine_of_time_alone_is_applied()
    {
        ManualTime time = new(1000);
        PasidOptions options = new() { Last = 1, QuarantineMilliseconds = 5 };
        IPasidAllocator allocator = PasidAllocators.Compose(options, null, PasidRange.Full, time);
        allocator.Free(allocator.Allocate(in s_any).Pasid);

        Assert.Equal(PasidAllocationStatus.NoSpace, allocator.Allocate(in s_any).Status);
        time.Now = 5;
        Assert.True(allocator.Allocate(in s_any).IsAllocated);
    }

    [Fact]
    public void A_plug_ins_policy_is_found_by_name_and_decorated_too()
    {
        Mock<IPasidAllocatorFactory> factory = new(MockBehavior.Strict);
        factory.Setup(f => f.Create(new PasidRange(1, 100), 7)).Returns(new LowestPasidAllocator(new(1, 100)));
        PasidOptions options = new() { Allocator = "mine", Last = 100, Seed = 7, QuarantineFrees = 1 };

        IPasidAllocator allocator = PasidAllocators.Compose(
            options, Plugins("mine", factory.Object), PasidRange.Full, TimeProvider.System);

        Assert.IsType<QuarantinePasidAllocator>(allocator);
    }

    [Fact]
    public void A_plug_in_does_not_replace_a_built_in_policy()
    {
        Mock<IPasidAllocatorFactory> factory = new(MockBehavior.Strict);

        IPasidAllocator allocator = PasidAllocators.Compose(
            new PasidOptions(), Plugins("lowest", factory.Object), PasidRange.Full, TimeProvider.System);

        Assert.IsType<LowestPasidAllocator>(allocator);
    }

    [Fact]
    public void A_plug_in_that_allocates_other_PASIDs_is_refused()
    {
        Mock<IPasidAllocatorFactory> factory = new(MockBehavior.Strict);
        factory.Setup(f => f.Create(new PasidRange(1, 100), 1)).Returns(new LowestPasidAllocator(PasidRange.Full));

        OpResult<IPasidAllocator> result = PasidAllocators.TryCompose(
            new PasidOptions { Allocator = "mine", Last = 100 },
            Plugins("mine", factory.Object), PasidRange.Full, TimeProvider.System);

        Assert.Equal(Errno.EINVAL, result.Errno);
        Assert.Equal("allocator 'mine' allocates [0x0, 0xfffff], must be [0x1, 0x64] as asked", result.Reason);
    }

    [Fact]
    public void An_unknown_policy_is_refused_with_the_known_ones()
    {
        Mock<IPasidAllocatorFactory> factory = new(MockBehavior.Strict);

        OpResult<IPasidAllocator> result = PasidAllocators.TryCompose(
            new PasidOptions { Allocator = "Cyclic" },
            Plugins("mine", factory.Object), PasidRange.Full, TimeProvider.System);

        Assert.Equal(Errno.EINVAL, result.Errno);
        Assert.Equal(
            "Pasid:Allocator is 'Cyclic', must be one of cyclic, lowest, mine, random, sharded, top-down",
            result.Reason);
    }

    [Fact]
    public void A_space_without_a_PASID_in_the_options_range_is_refused()
    {
        OpResult<IPasidAllocator> result = PasidAllocators.TryCompose(
            new PasidOptions { First = 256 }, null, PasidRange.OfWidth(8), TimeProvider.System);

        Assert.Equal(Errno.EINVAL, result.Errno);
        Assert.Equal("Pasid:First to Pasid:Last is 256 to 1048575, must meet the space's [0x0, 0xff]", result.Reason);
    }

    [Fact]
    public void A_quarantine_that_a_narrow_space_cannot_hold_is_refused()
    {
        PasidOptions options = new() { QuarantineFrees = 254, Reserved = { 7 } };

        OpResult<IPasidAllocator> result =
            PasidAllocators.TryCompose(options, null, PasidRange.OfWidth(8), TimeProvider.System);

        Assert.Equal(Errno.EINVAL, result.Errno);
        Assert.Equal(
            "Pasid:QuarantineFrees is 254, must be less than the 254 free PASIDs of [0x1, 0xff]", result.Reason);
        ArgumentException e = Assert.Throws<ArgumentException>(
            () => PasidAllocators.Compose(options, null, PasidRange.OfWidth(8), TimeProvider.System));
        Assert.Contains(result.Reason!, e.Message, StringComparison.Ordinal);

        options.QuarantineFrees = 253;
        Assert.True(PasidAllocators.TryCompose(options, null, PasidRange.OfWidth(8), TimeProvider.System).IsOk);
    }

    [Fact]
    public void A_drivers_own_allocator_is_decorated_by_the_same_options()
    {
        DelegatedPasidAllocator own = new(new FakeHost(new PasidRange(1, 5)), new PasidRange(1, 5));
        PasidOptions options = new() { QuotaPerTenant = 2, Reserved = { 1 } };

        OpResult<IPasidAllocator> result = PasidAllocators.TryDecorate(own, options, TimeProvider.System);

        Assert.True(result.IsOk);
        Assert.Equal("delegated+quota", result.Value.Name);
        Assert.Equal(PasidAllocation.Of(2), result.Value.Allocate(in s_any));
    }

    private static IPasidAllocator Compose(PasidOptions options) =>
        PasidAllocators.Compose(options, null, PasidRange.Full, TimeProvider.System);

    private static Dictionary<string, IPasidAllocatorFactory> Plugins(string name, IPasidAllocatorFactory factory) =>
        new() { [name] = factory };
}
