// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Processes;

public sealed class SimulatedProcessSourceTests
{
    [Fact]
    public void An_end_is_reported_once_after_the_address_space_is_dead_and_its_page_returns()
    {
        var memory = new SystemMemory();
        using var source = new SimulatedProcessSource(memory);
        var ended = new List<(IAddressSpace Space, bool Alive)>();
        source.AddressSpaceEnded += space => ended.Add((space, space.IsAlive));
        IAddressSpace process = source.Start(5, "five").Value!;

        Assert.NotEqual(0UL, process.PageTableRoot);
        Assert.True(source.Exit(5).IsOk);
        Assert.Equal(Errno.ESRCH, source.Exit(5).Errno);

        Assert.Equal([(process, false)], ended);
        Assert.Equal(0, memory.AllocatedBytes);
    }

    [Fact]
    public void Exec_gives_a_new_address_space_and_keeps_a_shared_old_one_for_the_others()
    {
        using var source = new SimulatedProcessSource(new SystemMemory());
        int ended = 0;
        source.AddressSpaceEnded += _ => ended++;
        IAddressSpace first = source.Start(5, "five", "red").Value!;
        Assert.Same(first, source.Fork(5, 6, shareMemory: true).Value);

        IAddressSpace executed = source.Exec(5, "other").Value!;

        Assert.NotEqual(first.Id, executed.Id);
        Assert.Equal("red", executed.Tenant);
        Assert.Equal(0, ended);
        Assert.True(first.IsAlive);
        source.Exit(6);
        Assert.Equal(1, ended);
        Assert.Equal(Errno.ESRCH, source.Exec(6, "x").Errno);
        Assert.Equal(Errno.ESRCH, source.Fork(6, 7).Errno);
        Assert.Equal(Errno.EEXIST, source.Start(5, "again").Errno);
    }

    [Fact]
    public void Out_of_memory_in_exec_leaves_the_process_as_it_was()
    {
        using var source = new SimulatedProcessSource(new SystemMemory(capacityBytes: 65_536));
        IAddressSpace process = source.Start(1, "one").Value!;
        for (int pid = 2; source.Start(pid, "fill").IsOk; pid++)
        {
        }

        Assert.Equal(Errno.ENOMEM, source.Exec(1, "other").Errno);
        Assert.True(process.IsAlive);
        Assert.Same(process, source.Open(1).Value);
    }
}
