namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>How long the driver waits for hardware before it counts as stuck.</summary>
/// <param name="Time">The clock.</param>
/// <param name="Limit">The longest wait by that clock.</param>
/// <param name="Polls">The most polls, so that a clock that stands still does not make the wait endless.</param>
internal sealed record PollTimeout(TimeProvider Time, TimeSpan Limit, int Polls)
{
    // Hardware that answers at once costs no look at the clock.
    private const int FreePolls = 64;

    /// <summary>Five seconds, or some millions of polls.</summary>
    public static PollTimeout Default(TimeProvider time) => new(time, TimeSpan.FromSeconds(5), 4_000_000);

    /// <summary>Whether to give up.</summary>
    /// <param name="poll">Polls so far, from 0.</param>
    /// <param name="since">When the waiting began; 0 at first, kept by the caller between polls.</param>
    public bool IsExhausted(int poll, ref long since)
    {
        if (poll < FreePolls || poll >= Polls)
        {
            return poll >= Polls;
        }

        if (since == 0)
        {
            since = Time.GetTimestamp();
            return false;
        }

        return Time.GetElapsedTime(since) > Limit;
    }
}
