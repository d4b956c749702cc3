namespace PasidFramework.Cli;

/// <summary>
/// A file that appears under its name only when it is complete: it is written beside it and renamed, and removed if
/// anything goes wrong before.
/// </summary>
internal sealed class PendingFile : IDisposable
{
    private readonly string _path;
    private readonly string _temporary;
    private readonly FileStream _stream;
    private bool _isClosed;

    private PendingFile(string path, string temporary, FileStream stream)
    {
        _path = path;
        _temporary = temporary;
        _stream = stream;
    }

    public Stream Stream => _stream;

    /// <summary>Begins a file.</summary>
    /// <param name="option">The option that names it, for messages.</param>
    /// <param name="path">Its path.</param>
    /// <exception cref="UsageException">It cannot be written there.</exception>
    public static PendingFile Create(string option, string path)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full))
        {
            throw new UsageException($"{option}: {path} is a directory; expected a file");
        }

        string temporary = $"{full}.{Environment.ProcessId}.part";
        try
        {
            return new PendingFile(full, temporary, new FileStream(
                temporary, FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 16));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{option}: {path} cannot be written: {e.Message}");
        }
    }

    /// <summary>Gives the complete file its name.</summary>
    public void Commit()
    {
        _stream.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        _isClosed = true;
    }

    public void Dispose()
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        _stream.Dispose();
        File.Delete(_temporary);
    }
}
