using PasidFramework.DriverKit.Units;

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

    private sealed class StoppedClock : TimeProvider
    {
        public override long GetTimestamp() => 1;
    }
}
