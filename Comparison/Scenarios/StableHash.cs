// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Scenarios;

/// <summary>
/// Draws that depend on nothing but seed and names: FNV-1a over the words, then the splitmix64 finaliser.
/// </summary>
/// <remarks>The platform's string hash differs from run to run.</remarks>
internal static class StableHash
{
    public static ulong Of(ulong seed, string text, ulong number)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (char c in text)
        {
            hash = (hash ^ c) * 0x100_0000_01B3;
        }

        return Mix(Mix(hash ^ Mix(seed)) ^ number);
    }

    /// <summary>A number of [0, 1).</summary>
    public static double Fraction(ulong seed, string text, ulong number) =>
        (Of(seed, text, number) >> 11) * (1.0 / (1UL << 53));

    private static ulong Mix(ulong z)
    {
        z += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
