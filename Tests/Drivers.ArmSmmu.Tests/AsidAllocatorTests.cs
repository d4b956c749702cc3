using PasidFramework.Drivers.ArmSmmu.Tests.Support;
using PasidFramework.Drivers.ArmSmmu.Unit;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class AsidAllocatorTests
{
    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    public void Every_number_but_0_is_handed_out_once_and_then_there_is_no_more(int bits)
    {
        var asids = new AsidAllocator(bits);
        var seen = new HashSet<uint>();
        for (int i = 1; i < 1 << bits; i++)
        {
            Assert.True(seen.Add(asids.Allocate().Value));
        }

        Assert.DoesNotContain(0u, seen);
        Assert.Equal((uint)(1 << bits) - 1, seen.Max());
        OpResult<uint> refused = asids.Allocate();
        Assert.Equal(Errno.ENOSPC, refused.Errno);
        Assert.Contains($"{(1 << bits) - 1}", refused.Reason, StringComparison.Ordinal);

        asids.Free(77);
        Assert.Equal(77u, asids.Allocate().Value);
        Assert.Equal(Errno.ENOSPC, asids.Allocate().Errno);
    }

    [Fact]
    public void Freeing_what_is_not_taken_throws_and_changes_nothing()
    {
        var asids = new AsidAllocator(8);
        uint taken = asids.Allocate().Value;
        asids.Free(taken);
        Assert.Throws<ArgumentException>(() => asids.Free(taken));
        Assert.Throws<ArgumentException>(() => asids.Free(0));
        Assert.Throws<ArgumentException>(() => asids.Free(256));
        Assert.Equal(0, asids.Live);
    }

    [Fact]
    public void Two_threads_never_hold_the_same_number_and_none_is_lost()
    {
        var asids = new AsidAllocator(8);
        var owner = new int[256];
        int clashes = 0;
        Race.Run(2, (thread, barrier) =>
        {
            var mine = new uint[100];
            for (int round = 0; round < 200; round++)
            {
                barrier.SignalAndWait();
                for (int i = 0; i < mine.Length; i++)
                {
                    OpResult<uint> asid = asids.Allocate();
                    Assert.True(asid.IsOk, asid.ToString());
                    mine[i] = asid.Value;
                    if (Interlocked.CompareExchange(ref owner[mine[i]], thread + 1, 0) != 0)
                    {
                        Interlocked.Increment(ref clashes);
                    }
                }

                foreach (uint asid in mine)
                {
                    Volatile.Write(ref owner[asid], 0);
                    asids.Free(asid);
                }
            }
        });

        Assert.Equal(0, clashes);
        Assert.Equal(0, asids.Live);
    }
}
