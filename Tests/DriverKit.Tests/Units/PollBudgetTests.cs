// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Units;

public class PollBudgetTests
{
    [Fact]
    public void A_clock_that_stands_still_ends_the_loop_by_the_number_of_polls()
    {
        var budget = new PollBudget(new StoppedClock(), TimeSpan.FromSeconds(1));
        int polls = 0;
        while (budget.TrySpend())
        {
            Assert.InRange(++polls, 0, 1 << 20);
        }

        Assert.NotEqual(0, polls);
    }

    [Theory]
    [InlineData(1), InlineData(50), InlineData(5000)]
    public void A_wait_ends_after_the_most_polls_whatever_the_clock_says(int maxPolls)
    {
        PollBudget budget = new PollTimeout(TimeProvider.System, TimeSpan.MaxValue, maxPolls).Start();
        while (budget.TrySpend())
        {
        }

        Assert.Equal(maxPolls, budget.Polls);
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override long GetTimestamp() => 1;
    }
}
