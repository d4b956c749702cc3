using PasidFramework.Drivers.VirtioIommu.Unit;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

public sealed class AsidTests
{
    [Theory]
    [InlineData(8, 255)]
    [InlineData(16, 65535)]
    public void Every_tag_but_0_is_handed_out_once_and_then_none_is_left(int bits, int count)
    {
        var asids = new AsidAllocator(bits);

        int[] taken = [.. Enumerable.Range(0, count).Select(_ => asids.Allocate())];

        Assert.Equal(Enumerable.Range(1, count), taken.Order());
        Assert.Equal(0, asids.Allocate());
        Assert.Equal(count, asids.LiveCount);
        asids.Free(77);
        Assert.Equal(77, asids.Allocate());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(5)]
    [InlineData(65536)]
    public void Freeing_what_is_not_handed_out_throws_and_changes_nothing(int asid)
    {
        var asids = new AsidAllocator(16);
        asids.Allocate();

        Assert.Throws<ArgumentOutOfRangeException>(() => asids.Free(asid));
        Assert.Equal(1, asids.LiveCount);
    }

    [Fact]
    public void Two_threads_never_hold_the_same_tag()
    {
        var asids = new AsidAllocator(8);
        var owners = new int[256];
        int clashes = 0;
        using var barrier = new Barrier(2);
        Thread[] threads = [.. Enumerable.Range(1, 2).Select(_ => new Thread(() =>
        {
            var held = new Queue<int>();
            barrier.SignalAndWait();
            for (int i = 0; i < 20_000; i++)
            {
                int asid = asids.Allocate();
                if (asid != 0)
                {
                    if (Interlocked.Exchange(ref owners[asid], 1) != 0)
                    {
                        Interlocked.Increment(ref clashes);
                    }

                    held.Enqueue(asid);
                }

                if ((asid == 0 || held.Count > 100) && held.TryDequeue(out int back))
                {
                    Volatile.Write(ref owners[back], 0);
                    asids.Free(back);
                }
            }

            foreach (int left in held)
            {
                Volatile.Write(ref owners[left], 0);
                asids.Free(left);
            }
        }))];

        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Equal(0, clashes);
        Assert.Equal(0, asids.LiveCount);
    }
}
