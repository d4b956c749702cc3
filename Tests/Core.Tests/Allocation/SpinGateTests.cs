// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

public sealed class SpinGateTests
{
    private SpinGate _gate;
    private int _inside;
    private long _entries;

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Only_one_of_many_threads_is_inside_and_all_of_them_get_in(int count)
    {
        const int Entries = 20_000;
        int met = 0;
        using Barrier start = new(count);
        Thread[] threads =
        [
            .. Enumerable.Range(0, count).Select(_ => new Thread(() =>
            {
                start.SignalAndWait();
                for (int i = 0; i < Entries; i++)
                {
                    _gate.Enter();
                    met += _inside;
                    _inside++;
                    _entries++;
                    if (i % 1000 == 0)
                    {
                        // Whoever else is here meanwhile is in the way for certain.
                        Thread.Yield();
                    }

                    _inside--;
                    _gate.Exit();
                }
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Equal(0, met);
        Assert.Equal((long)count * Entries, _entries);
    }

    [Fact]
    public void Who_comes_while_the_holder_stays_waits_until_it_leaves()
    {
        using Barrier arrived = new(5);
        _gate.Enter();
        Thread[] threads =
        [
            .. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                arrived.SignalAndWait();
                _gate.Enter();
                _entries++;
                _gate.Exit();
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        arrived.SignalAndWait();

        // Far longer than anybody watches before it yields.
        for (int i = 0; i < 2000; i++)
        {
            Thread.SpinWait(100);
            Thread.Yield();
        }

        Assert.Equal(0, Volatile.Read(ref _entries));
        _gate.Exit();
        Array.ForEach(threads, t => t.Join());
        Assert.Equal(4, _entries);
    }

    [Fact]
    public void A_gate_is_entered_and_left_again_and_again_by_one_thread()
    {
        for (int i = 0; i < 100; i++)
        {
            _gate.Enter();
            _entries++;
            _gate.Exit();
        }

        Assert.Equal(100, _entries);
    }
}
