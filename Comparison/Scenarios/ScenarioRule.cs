// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Scenarios;

/// <summary>Which address spaces bind which devices, and for how long.</summary>
public sealed record ScenarioRule
{
    /// <summary>Its name, unique in the scenario; part of what the fraction is drawn from.</summary>
    public required string Name { get; init; }

    /// <summary>Names of programs and tasks, with <c>*</c> and <c>?</c>; any of them must match.</summary>
    public IReadOnlyList<string> NameGlobs { get; init; } = ["*"];

    /// <summary>How the address space came into being; any of them must match.</summary>
    public IReadOnlyList<LifeBegin> Began { get; init; } = [LifeBegin.Fork, LifeBegin.Exec, LifeBegin.Before];

    /// <summary>
    /// Share of the matching address spaces that bind, 0 to 1, drawn from seed, rule and address space.
    /// </summary>
    public double Fraction { get; init; } = 1;

    /// <summary>The tenant that it must belong to, 0 to <see cref="Scenario.Tenants"/> - 1; null for any.</summary>
    public int? Tenant { get; init; }

    /// <summary>Names of the devices, bound in this order.</summary>
    public required IReadOnlyList<string> Devices { get; init; }

    /// <summary>Time from the address space's begin to the first bind in microseconds.</summary>
    public long DelayMicroseconds { get; init; }

    /// <summary>Time from one device's bind to the next one's in microseconds.</summary>
    public long StepMicroseconds { get; init; }

    /// <summary>Time from a bind to its unbind in microseconds; null keeps it until the process exits.</summary>
    public long? HoldMicroseconds { get; init; }
}
