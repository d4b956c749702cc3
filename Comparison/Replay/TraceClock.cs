// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>A clock that shows the time of the trace; it moves only when the replay moves it.</summary>
internal sealed class TraceClock : TimeProvider
{
    private long _nanoseconds;
    public override long TimestampFrequency => 1_000_000_000;
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>Time on the trace's clock.</summary>
    public long Nanoseconds => Volatile.Read(ref _nanoseconds);

    public override long GetTimestamp() => Nanoseconds;
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(Nanoseconds / 100);
    public void MoveTo(long nanoseconds) => Volatile.Write(ref _nanoseconds, nanoseconds);
}
