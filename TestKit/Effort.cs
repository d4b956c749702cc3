// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>How deep tests go: all that decides by default, all that there is with <c>PASID_DEEP_TESTS=1</c>.</summary>
public static class Effort
{
    /// <summary>Whether <c>PASID_DEEP_TESTS=1</c> asks for everything.</summary>
    public static bool IsDeep { get; } = Environment.GetEnvironmentVariable("PASID_DEEP_TESTS") == "1";

    /// <summary>Rounds of random content or of a race: all of them in a deep run, otherwise a tenth.</summary>
    /// <param name="rounds">Rounds of a deep run, at least 10.</param>
    public static int Of(int rounds) => IsDeep ? rounds : rounds / 10;
}
