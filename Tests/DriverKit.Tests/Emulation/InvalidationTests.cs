// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Emulation;

public sealed class InvalidationTests
{
    [Fact]
    public void Commands_take_effect_with_the_fence_behind_them_and_not_before()
    {
        var pending = new PendingInvalidations<int>();
        var done = new List<string>();
        void Complete() =>
            pending.Complete((group, drains) => done.Add($"{string.Join(',', group)}{(drains ? "!" : "")}"));

        pending.Add(1);
        Complete();
        Assert.Empty(done);
        pending.Fence();
        pending.Add(2);
        pending.Wait();
        pending.Add(3);
        pending.FenceAtLastWait(drains: true);
        Complete();
        Assert.Equal(["1", "2!"], done);
        Assert.False(pending.IsEmpty);

        pending.Fence();
        Complete();
        Assert.Equal(["1", "2!", "3"], done);
        Assert.True(pending.IsEmpty);
        pending.Add(4);
        pending.Clear();
        Assert.True(pending.IsEmpty);
    }

    [Fact]
    public void A_group_acts_kind_by_kind_and_accesses_under_way_come_back_between_commands()
    {
        var log = new List<string>();
        IReadOnlyList<DmaAccess> Act(string kind, int command)
        {
            log.Add($"{kind}{command}");
            return command == 1 ? [new DmaAccess(new RequesterId(8), null, 0x1000, false)] : [];
        }

        WorstOrder.Apply([1, 2], _ => log.Add("refill"), c => Act("tlb", c), c => Act("entry", c));

        Assert.Equal(["tlb1", "refill", "tlb2", "entry1", "refill", "entry2"], log);
    }

    [Fact]
    public void Required_steps_need_a_group_each_in_their_order_unless_they_share_one()
    {
        var missing = new List<string>();
        var required = new RequiredInvalidations<string, string>((key, what) => missing.Add($"{key}: {what}"));
        required.Require("a", Steps(isOld: false));

        // The group in which the entry went away does not count.
        required.Completed("abc");
        required.Completed("bc");
        required.Completed("a");
        required.ReportMissing("b");
        Assert.True(required.IsRequired("a"));
        required.Completed("abc");
        Assert.False(required.IsRequired("a"));
        Assert.Empty(missing);
    }

    [Fact]
    public void What_is_missing_is_reported_once_where_it_had_its_time()
    {
        var missing = new List<string>();
        var required = new RequiredInvalidations<string, string>((key, what) => missing.Add($"{key}: {what}"));
        required.Require("new", Steps(isOld: false));
        required.Require("old", Steps(isOld: true));
        required.Require("other", Steps(isOld: true));
        required.Completed("b");

        required.Require("newer", Steps(isOld: false));
        required.ReportMissing(key => key != "other");
        Assert.Equal(
            ["new: it went away, and still owed are: A, B, C", "old: it went away, and still owed are: A, B, C"],
            missing);
        required.ReportMissing("old");
        required.ReportMissing(_ => true, withNew: true);
        Assert.Equal(4, missing.Count);
        Assert.False(required.IsRequired("newer"));
    }

    [Fact]
    public void A_violation_is_listed_once_and_reads_of_freed_pages_behind_all()
    {
        var memory = new ModelMemory();
        ulong at = memory.AllocatePages(4096).Value;
        memory.FreePages(at, 4096);
        _ = memory.Device.ReadQword(at);
        _ = memory.Device.ReadQword(0x10);
        var log = new ViolationLog(memory, "acme-stray-read", " (6)");

        log.Report("acme-kept", "an entry");
        log.Report("acme-kept", "an entry");
        log.Report("acme-kept", "another");

        Assert.Equal(
            ["an entry", "another", $"the walker read freed memory at 0x{at:x} (6)"], log.All().Select(v => v.Message));
        Assert.Equal(2, new ViolationLog(memory).All().Count + log.All().Count(v => v.Rule == "acme-kept"));
        for (int i = 0; i < 2000; i++)
        {
            log.Report("acme-kept", $"{i}");
        }

        Assert.Equal(1001, log.All().Count);
    }

    private static RequiredInvalidation<string> Steps(bool isOld) => new(
        "it went away",
        [
            new("A", group => group.Contains('a', StringComparison.Ordinal)),
            new("B", group => group.Contains('b', StringComparison.Ordinal), SharesGroup: true),
            new("C", group => group.Contains('c', StringComparison.Ordinal)),
        ],
        isOld);
}
