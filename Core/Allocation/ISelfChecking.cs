// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Allocation;

/// <summary>Checks its own state; for tests and debugging, since it reads everything.</summary>
internal interface ISelfChecking
{
    /// <summary>Compares what is stored twice.</summary>
    /// <exception cref="InvalidOperationException">It disagrees.</exception>
    void AssertInvariants();
}

internal static class Invariant
{
    public static void Holds(bool condition, string violation)
    {
        if (!condition)
        {
            throw new InvalidOperationException("Invariant violated: " + violation + ".");
        }
    }

    /// <summary>Checks an allocator of ours; a plug-in's has nothing to check.</summary>
    public static void HoldsFor(IPasidAllocator allocator) => (allocator as ISelfChecking)?.AssertInvariants();
}
