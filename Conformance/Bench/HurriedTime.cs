// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Bench;

/// <summary>A clock that moves by 10 milliseconds each time it is read: a driver's patience ends without
/// waiting.</summary>
internal sealed class HurriedTime : TimeProvider
{
    private const long Step = TimeSpan.TicksPerMillisecond * 10;
    private long _ticks;
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    public override long GetTimestamp() => Interlocked.Add(ref _ticks, Step);
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(Interlocked.Add(ref _ticks, Step));
}
