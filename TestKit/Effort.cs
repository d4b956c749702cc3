namespace PasidFramework.TestKit;

/// <summary>How much random content tests try.</summary>
public static class Effort
{
    /// <summary>A number of rounds, or a tenth of it where it is large and <c>PASID_SHORT_TESTS=1</c>.</summary>
    public static int Of(int rounds) =>
        rounds >= 100_000 && Environment.GetEnvironmentVariable("PASID_SHORT_TESTS") == "1" ? rounds / 10 : rounds;
}
