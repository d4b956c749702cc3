// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Units;

/// <summary>
/// Bounds a polling loop: by time, and by a number of polls where the clock stands still (a simulated one).
/// </summary>
/// <remarks>A mutable struct for one loop: keep it in a local variable.</remarks>
/// <param name="time">The clock.</param>
/// <param name="limit">The time that hardware has.</param>
/// <param name="maxPolls">The most polls, whatever the clock says.</param>
public struct PollBudget(TimeProvider time, TimeSpan limit, int maxPolls = int.MaxValue)
{
    // Most answers are there at once; asking the clock costs more than a poll.
    private const int PollsWithoutClock = 16;
    private const int PollsOfStoppedClock = 1 << 12;
    private long _start;
    private int _polls;
    private SpinWait _spin;

    /// <summary>Polls so far.</summary>
    public readonly int Polls => _polls;

    /// <summary>Spends one more poll.</summary>
    /// <returns>False when the time is up.</returns>
    public bool TrySpend()
    {
        if (++_polls >= maxPolls)
        {
            return false;
        }

        if (_polls < PollsWithoutClock)
        {
            return true;
        }

        if (_polls == PollsWithoutClock)
        {
            _start = time.GetTimestamp();
            return true;
        }

        TimeSpan elapsed = time.GetElapsedTime(_start);
        if (elapsed > limit || (elapsed == TimeSpan.Zero && _polls > PollsOfStoppedClock))
        {
            return false;
        }

        _spin.SpinOnce(sleep1Threshold: -1);
        return true;
    }
}
