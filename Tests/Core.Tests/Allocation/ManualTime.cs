// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Core.Tests.Allocation;

/// <summary>A clock that stands still until a test moves it.</summary>
internal sealed class ManualTime(long frequency) : TimeProvider
{
    public override long TimestampFrequency => frequency;
    public long Now { get; set; }
    public override long GetTimestamp() => Now;
}
