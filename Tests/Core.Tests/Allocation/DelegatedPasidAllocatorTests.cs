// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class DelegatedPasidAllocatorTests
{
    private static readonly PasidRange s_range = new(10, 20);
    private static readonly PasidRequest s_any = new(PasidRange.Full);

    [Fact]
    public void A11_the_hosts_PASID_is_handed_on()
    {
        Mock<IPasidHost> host = new(MockBehavior.Strict);
        host.Setup(h => h.Allocate()).Returns(new PasidHostResponse(0, 17));
        DelegatedPasidAllocator allocator = new(host.Object, s_range);

        Assert.Equal(PasidAllocation.Of(17), allocator.Allocate(in s_any));

        Assert.True(allocator.IsLive(new Pasid(17)));
        Assert.Equal(1, allocator.LiveCount);
        host.Verify(h => h.Allocate(), Times.Once);
    }

    [Theory]
    [InlineData(16, PasidAllocationStatus.NoSpace, Errno.ENOSPC)]
    [InlineData(1, PasidAllocationStatus.DeviceError, Errno.EIO)]
    [InlineData(2, PasidAllocationStatus.DeviceError, Errno.EIO)]
    [InlineData(15, PasidAllocationStatus.DeviceError, Errno.EIO)]
    [InlineData(17, PasidAllocationStatus.DeviceError, Errno.EIO)]
    [InlineData(127, PasidAllocationStatus.DeviceError, Errno.EIO)]
    [InlineData(-1, PasidAllocationStatus.DeviceError, Errno.EIO)]
    public void A11_a_status_of_the_host_is_never_turned_into_a_PASID(
        int status, PasidAllocationStatus expected, Errno errno)
    {
        FakeHost host = new(s_range);
        host.AnswerAllocate(status, pasid: 12);
        DelegatedPasidAllocator allocator = new(host, s_range);

        PasidAllocation allocation = allocator.Allocate(in s_any);

        Assert.Equal((expected, errno), (allocation.Status, allocation.Errno));
        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(PasidAllocation.Of(10), allocator.Allocate(in s_any));
    }

    [Theory]
    [InlineData(9u, "allocate, free 9"), InlineData(21u, "allocate, free 21"), InlineData(0u, "allocate, free 0")]
    [InlineData(0xFFFFFu, "allocate, free 1048575"), InlineData(0x100000u, "allocate")]
    [InlineData(0x10000Au, "allocate"), InlineData(uint.MaxValue, "allocate")]
    public void A11_a_PASID_outside_of_the_range_goes_back_and_is_an_error(uint pasid, string calls)
    {
        FakeHost host = new(s_range) { Records = true };
        host.AnswerAllocate(PasidHostStatus.Ok, pasid);
        DelegatedPasidAllocator allocator = new(host, s_range);

        Assert.Equal(PasidAllocationStatus.DeviceError, allocator.Allocate(in s_any).Status);

        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(calls, string.Join(", ", host.Calls));
    }

    [Fact]
    public void A11_a_live_PASID_is_not_handed_on_again_and_not_taken_from_its_holder()
    {
        FakeHost host = new(s_range) { Records = true };
        DelegatedPasidAllocator allocator = new(host, s_range);
        Pasid held = allocator.Allocate(in s_any).Pasid;
        host.AnswerAllocate(PasidHostStatus.Ok, held.Value);

        Assert.Equal(PasidAllocationStatus.DeviceError, allocator.Allocate(in s_any).Status);

        Assert.True(allocator.IsLive(held));
        Assert.Equal(1, allocator.LiveCount);
        Assert.Equal(["allocate", "allocate"], host.Calls);
    }

    [Fact]
    public void A11_a_PASID_that_the_request_cannot_carry_goes_back_and_there_is_no_space()
    {
        FakeHost host = new(s_range) { Records = true };
        DelegatedPasidAllocator allocator = new(host, s_range);

        PasidAllocation allocation = allocator.Allocate(new PasidRequest(new PasidRange(15, 20)));

        Assert.Equal(PasidAllocationStatus.NoSpace, allocation.Status);
        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(["allocate", "free 10"], host.Calls);
        Assert.Equal(0, host.TakenCount);
    }

    [Fact]
    public void A11_a_request_that_no_answer_could_satisfy_is_not_put_to_the_host()
    {
        Mock<IPasidHost> host = new(MockBehavior.Strict);
        DelegatedPasidAllocator allocator = new(host.Object, s_range);
        Assert.True(allocator.TryReserve(new Pasid(20)));

        Assert.Equal(
            PasidAllocationStatus.NoSpace, allocator.Allocate(new PasidRequest(new PasidRange(20, 30))).Status);
        Assert.Equal(
            PasidAllocationStatus.InvalidRange, allocator.Allocate(new PasidRequest(new PasidRange(21, 30))).Status);

        host.VerifyNoOtherCalls();
    }

    [Fact]
    public void A3_a_reserved_PASID_of_the_host_is_kept_and_the_host_asked_again()
    {
        FakeHost host = new(s_range) { Records = true };
        DelegatedPasidAllocator allocator = new(host, s_range);
        allocator.TryReserve(new Pasid(10));
        allocator.TryReserve(new Pasid(11));

        Assert.Equal(PasidAllocation.Of(12), allocator.Allocate(in s_any));
        Assert.Equal(["allocate", "allocate", "allocate"], host.Calls);
        Assert.Equal(PasidAllocation.Of(13), allocator.Allocate(in s_any));
        Assert.Equal(4, host.Calls.Count);
    }

    [Fact]
    public void A11_a_host_that_repeats_a_kept_PASID_is_an_error_and_no_endless_loop()
    {
        FakeHost host = new(s_range);
        host.AnswerAllocate(PasidHostStatus.Ok, 10);
        host.AnswerAllocate(PasidHostStatus.Ok, 10);
        DelegatedPasidAllocator allocator = new(host, s_range);
        allocator.TryReserve(new Pasid(10));

        Assert.Equal(PasidAllocationStatus.DeviceError, allocator.Allocate(in s_any).Status);
    }

    [Theory]
    [InlineData(1), InlineData(16), InlineData(99)]
    public void A11_a_free_that_the_host_refuses_leaves_the_PASID_live(int status)
    {
        FakeHost host = new(s_range);
        DelegatedPasidAllocator allocator = new(host, s_range);
        Pasid pasid = allocator.Allocate(in s_any).Pasid;
        host.AnswerFree(status);

        Assert.Equal(PasidFreeStatus.DeviceError, allocator.Free(pasid));

        Assert.True(allocator.IsLive(pasid));
        Assert.Equal(1, allocator.LiveCount);
        Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        Assert.Equal(0, allocator.LiveCount);
        Assert.Equal(0, host.TakenCount);
    }

    [Fact]
    public void A6_freeing_what_is_not_live_does_not_reach_the_host()
    {
        Mock<IPasidHost> host = new(MockBehavior.Strict);
        DelegatedPasidAllocator allocator = new(host.Object, s_range);

        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(10)));
        Assert.Equal(PasidFreeStatus.NotAllocated, allocator.Free(new Pasid(9)));

        host.VerifyNoOtherCalls();
    }

    [Fact]
    public void A_host_that_throws_leaves_everything_as_it_was()
    {
        Mock<IPasidHost> host = new(MockBehavior.Strict);
        host.SetupSequence(h => h.Allocate()).Throws<TimeoutException>().Returns(new PasidHostResponse(0, 12));
        host.SetupSequence(h => h.Free(new Pasid(12))).Throws<TimeoutException>().Returns(new PasidHostResponse(0));
        QuotaPasidAllocator allocator = new(
            new QuarantinePasidAllocator(
                new DelegatedPasidAllocator(host.Object, s_range), 0, 0, TimeProvider.System), 1);
        PasidRequest owned = new(PasidRange.Full, Owner: 1);

        Assert.Throws<TimeoutException>(() => allocator.Allocate(in owned));
        Assert.Equal((0, 0), (allocator.LiveCount, allocator.HeldBy(1)));
        Assert.Equal(PasidAllocation.Of(12), allocator.Allocate(in owned));
        Assert.Equal(PasidAllocationStatus.QuotaExceeded, allocator.Allocate(in owned).Status);
    }
}
