// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.Reference;

namespace PasidFramework.Conformance.Tests;

/// <summary>The reference driver with everything that it brings.</summary>
internal static class ReferenceSubject
{
    private static readonly DriverUnderTest s_subject = DriverDiscovery.Of(new ReferenceDriver()).ToSubject();
    public static IHardwareBackEnd Model { get; } = s_subject.BackEnds[0];

    public static DriverUnderTest Create() => s_subject with { Driver = new ReferenceDriver() };
}
